package nat

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"multihop/packet"
)

// TestOracle translates random packets of every protocol, with options,
// extension headers, in fragments, and quoted in errors, and compares every
// byte with the packet whose checksums were computed for the other address.
// Then their receivers answer: translating that back must give what was sent.
//
// MULTIHOP_ORACLE is the number of packets:
//
//	MULTIHOP_ORACLE=1000000000 go test -run '^TestOracle$' -timeout 0 -v ./nat
//
// testdata/oracle.txt has the end of that run.
func TestOracle(t *testing.T) {
	count := 10_000_000
	if testing.Short() || raceEnabled {
		count = 200_000
	}
	if v := os.Getenv("MULTIHOP_ORACLE"); v != "" {
		var err error
		if count, err = strconv.Atoi(v); err != nil {
			t.Fatalf("MULTIHOP_ORACLE: %v", err)
		}
	}
	pcg := rand.NewPCG(4, 6)
	rnd := rand.New(pcg)
	forms := make([]*form, 4000)
	made, errors := 0, 0
	var addrs [3][16]byte
	var scratch [2][]byte
	for i := range count {
		if i%1_000_000 == 0 {
			for j := range forms {
				forms[j] = randomForm(rnd, j%2 == 1)
				made++
				if forms[j].quote != 0 {
					errors++
				}
			}
		}
		f := forms[i%len(forms)]
		n := 4
		if f.v6 {
			n = 16
		}
		from, to, far := addrs[0][:n], addrs[1][:n], addrs[2][:n]
		randomAddrs(pcg, from, to, far)
		f.fill(pcg)
		checkForm(t, f, from, to, far, &scratch)
	}
	t.Logf("%d packets of %d forms, %d of them errors, translated and back: every byte as computed anew", count, made, errors)
}

// checkForm translates f, as it is filled, and the answer back. It reuses
// scratch.
func checkForm(t *testing.T, f *form, from, to, far []byte, scratch *[2][]byte) {
	f.mended = false
	b := append(scratch[0][:0], f.put(from, far)...)
	before := append(scratch[1][:0], b...)
	*scratch = [2][]byte{b, before}
	if f.zero { // as wireguard-go's TUN leaves it: mendZero
		put(b[f.check:], 0)
		f.mended = true
	}
	after := f.put(to, far)

	a, z := addr(from), addr(to)
	r := newRewrite(a, z)
	var m packet.Meta
	if v := m.Parse(b); v != packet.OK {
		t.Fatalf("Parse: %v of % x", v, b)
	}
	if v := translate(&r, b, &m, f.out); v != packet.OK || !bytes.Equal(b, after) {
		t.Fatalf("%v to %v: verdict %v\nbefore % x\ngot    % x\nwant   % x", a, z, v, before, b, after)
	}
	want := m
	if m.Parse(b) != packet.OK || m != want {
		t.Fatalf("%v to %v: Meta does not describe % x: %+v", a, z, b, want)
	}

	// A datagram without a checksum, on which it would be 0, cannot be told
	// from one that mendZero is about.
	if f.mended = f.mended || f.zero; f.mended {
		before = append(before[:0], f.put(from, far)...)
	}
	f.mirror(b)
	r = newRewrite(z, a)
	if v := m.Parse(b); v != packet.OK {
		t.Fatalf("Parse of the answer: %v of % x", v, b)
	}
	v := translate(&r, b, &m, !f.out)
	f.mirror(b)
	if v != packet.OK || !bytes.Equal(b, before) {
		t.Fatalf("%v to %v and back: verdict %v\ngot  % x\nwant % x", a, z, v, b, before)
	}
}

func addr(b []byte) netip.Addr {
	if len(b) == 4 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b))
}

// randomAddrs fills in three addresses. Some have words at the edges of one's
// complement arithmetic, some sums that are equal.
func randomAddrs(rnd *rand.PCG, from, to, far []byte) {
	kind := rnd.Uint64()
	for i, a := range [][]byte{from, to, far} {
		edges := kind>>i&3 == 0
		for ; len(a) > 0; a = a[4:] {
			v := uint32(rnd.Uint64())
			if edges {
				v = []uint32{0, 1, 0xffff, 0x10000, 0xfffe0000, 0xfffffffe, 0xffffffff, 0x7fff8000}[v%8]
			}
			binary.BigEndian.PutUint32(a, v)
		}
	}
	switch kind >> 32 % 16 {
	case 0:
		copy(to, from)
	case 1:
		copy(to, from[2:])
		copy(to[len(to)-2:], from)
	}
}
