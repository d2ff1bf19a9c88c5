package nat

import (
	"fmt"
	"net/netip"
	"testing"

	"multihop/packet"
)

// TestEveryChecksum meets every value that a checksum can have, in IPv4's
// header and in every protocol, in both families, quoted and not, for addresses
// that change the sum by 1, by -1, and by much.
func TestEveryChecksum(t *testing.T) {
	protos := []struct {
		name  string
		proto uint8
		at    int // a byte of the header that is not 0
		value byte
	}{
		{"TCP", packet.ProtoTCP, 12, 5 << 4},
		{"UDP", packet.ProtoUDP, 5, 20},
		{"UDP-Lite", packet.ProtoUDPLite, 5, 20},
		{"DCCP", packet.ProtoDCCP, 4, 4},
		{"ICMPv6", packet.ProtoICMPv6, 0, 128},
	}
	for _, version := range []int{4, 6} {
		s := spec{src: tun4, dst: far4, proto: 200, upper: make([]byte, 20)}
		pairs := [][2]netip.Addr{{tun4, hop4}, {tun4, tun4.Next()}, {tun4.Next(), tun4}}
		if version == 6 {
			s.src, s.dst = tun6, far6
			pairs = [][2]netip.Addr{{tun6, hop6}, {tun6, tun6.Next()}, {tun6.Next(), tun6}}
		}
		run := func(name string, f *form, word *[2]byte, check int) {
			t.Run(fmt.Sprintf("%s over IPv%d", name, version), func(t *testing.T) {
				for _, p := range pairs {
					sweep(t, f, p[0], p[1], s.dst, word, check)
				}
			})
		}
		at := func(f *form, i int) *[2]byte { return (*[2]byte)(f.b[i:]) }

		if version == 4 {
			f := newForm(s, true)
			run("header", f, at(f, 4), 10)
		}
		q := newForm(s, true)
		f := newError(s, 3, q, len(q.b))
		run("error", f, at(f, f.upper+6), f.upper+2)
		for _, p := range protos {
			if p.proto == packet.ProtoICMPv6 && version == 4 {
				continue
			}
			s.proto = p.proto
			s.upper = make([]byte, 20)
			s.upper[p.at] = p.value
			for _, out := range []bool{true, false} {
				f := newForm(s, out)
				run(fmt.Sprintf("%s, out %v,", p.name, out), f, at(f, f.upper+18), f.check)
				q := newForm(s, out)
				f = newError(s, 3, q, len(q.b))
				run(fmt.Sprintf("quoted %s, out %v,", p.name, !out), f, at(q, q.upper+18), f.quote+q.check)
			}
		}
	}
}

// sweep gives a word of f every value, and sees the checksum at offset check
// take every value that it can.
func sweep(t *testing.T, f *form, from, to, far netip.Addr, word *[2]byte, check int) {
	step := 1
	if testing.Short() || raceEnabled {
		step = 41
	}
	var seen [0x10000]bool
	var scratch [2][]byte
	n := 0
	a, b, c := from.AsSlice(), to.AsSlice(), far.AsSlice()
	for w := 0; w < 0x10000; w += step {
		put(word[:], uint16(w))
		checkForm(t, f, a, b, c, &scratch)
		if v := get(f.put(a, c)[check:]); !seen[v] {
			seen[v] = true
			n++
		}
	}
	if step == 1 && n != 0xffff { // 0, or 0xffff, is no correct checksum
		t.Errorf("%v to %v: %d checksums", from, to, n)
	}
}
