package nat

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"multihop/packet"
)

var (
	tun4, hop4 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.64.0.7")
	tun6, hop6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fd00:64::7")
	far4, far6 = netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8:5::9")
)

func rewrite(t testing.TB, from, to netip.Addr) Rewrite {
	t.Helper()
	r, err := NewRewrite(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parse(t testing.TB, b []byte) packet.Meta {
	t.Helper()
	var m packet.Meta
	if v := m.Parse(b); v != packet.OK {
		t.Fatalf("Parse: %v of % x", v, b)
	}
	return m
}

// translate applies r to the source of b if out, else to its destination.
func translate(r *Rewrite, b []byte, m *packet.Meta, out bool) packet.Verdict {
	if out {
		return r.Source(b, m)
	}
	return r.Destination(b, m)
}

// TestRandom translates packets of every protocol, with options, extension
// headers and quotes of every length, whole and in fragments, and compares
// with packets made for the other address.
func TestRandom(t *testing.T) {
	pairs := []struct{ tun, hop, far netip.Addr }{
		{tun4, hop4, far4},
		{tun6, hop6, far6},
		{netip.MustParseAddr("255.255.255.254"), netip.MustParseAddr("0.0.0.1"), far4},
		{netip.MustParseAddr("::2"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), far6},
		{netip.MustParseAddr("10.1.20.2"), netip.MustParseAddr("20.2.10.1"), far4}, // equal sums
	}
	for seed := range uint64(8000) {
		for _, p := range pairs {
			there, back := rewrite(t, p.tun, p.hop), rewrite(t, p.hop, p.tun)
			for _, out := range []bool{true, false} {
				before := random(seed, p.tun, p.far, out, true).build()
				after := random(seed, p.hop, p.far, out, true).build()
				check := func(before, after []byte) {
					b := bytes.Clone(before)
					m := parse(t, b)
					if v := translate(&there, b, &m, out); v == packet.Quote && quoteIsCut(b, &m) {
						if !bytes.Equal(b, before) {
							t.Fatalf("seed %d: dropped, but changed", seed)
						}
						return
					} else if v != packet.OK {
						t.Fatalf("seed %d: verdict %v of % x", seed, v, before)
					}
					if !bytes.Equal(b, after) {
						t.Fatalf("seed %d, out %v:\nbefore % x\ngot    % x\nwant   % x", seed, out, before, b, after)
					}
					if m != parse(t, b) {
						t.Fatalf("seed %d: Meta does not describe the packet: %+v", seed, m)
					}
					if v := translate(&back, b, &m, out); v != packet.OK || !bytes.Equal(b, before) {
						t.Fatalf("seed %d: and back: verdict %v\ngot  % x\nwant % x", seed, v, b, before)
					}
				}
				check(before, after)

				m := parse(t, before)
				n := int(seed % 12 * 8)
				if m.Len-m.L4 <= n || m.FragID == 9 { // atomic: has its fragment header
					continue
				}
				first := fragment(before, 0, n)
				if new(packet.Meta).Parse(first) != packet.OK {
					continue // too short
				}
				check(first, fragment(after, 0, n))
				if n > 0 && !packet.IsICMPError(before, &m) {
					check(fragment(before, n, 1<<16), fragment(after, n, 1<<16))
				}
			}
		}
	}
}

// quoteIsCut reports whether an ICMP error ends, or has its first fragment end,
// where the quoted checksum cannot be updated.
func quoteIsCut(b []byte, m *packet.Meta) bool {
	var q packet.Meta
	return m.MF || packet.Quoted(b, m, &q) && checksumAt(&q)+1 == q.Len
}

// TestDelta is about wrong checksums too: each stays as wrong as it was.
func TestDelta(t *testing.T) {
	num := func(v uint16) int { return int(^v) % 0xffff } // what a checksum says the sum is
	for _, d := range []delta{0, 1, 2, 0x00ff, 0x7fff, 0x8000, 0xfffd, 0xfffe} {
		for v := range 0x10000 {
			for _, proto := range []uint8{0, packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoDCCP, packet.ProtoICMPv6} {
				c := []byte{byte(v >> 8), byte(v)}
				d.apply(c, proto)
				got := get(c)
				udp := proto == packet.ProtoUDP || proto == packet.ProtoUDPLite
				switch {
				case udp && v == 0, d == 0:
					if got != uint16(v) {
						t.Fatalf("protocol %d: %#x became %#x", proto, v, got)
					}
				case udp && got == 0, num(got) != (num(uint16(v))+int(d))%0xffff:
					t.Fatalf("protocol %d, delta %#x: %#x became %#x", proto, d, v, got)
				case !udp && got == 0xffff:
					t.Fatalf("protocol %d, delta %#x: %#x became 0xffff", proto, d, v)
				}
			}
		}
	}
}

func TestNewRewrite(t *testing.T) {
	tests := []struct {
		name, from, to string
		err            string // "": none
	}{
		{"IPv4", "192.0.2.1", "10.64.0.7", ""},
		{"IPv6", "2001:db8::1", "fd00::7", ""},
		{"mapped", "::ffff:192.0.2.1", "10.64.0.7", ""},
		{"both mapped", "::ffff:192.0.2.1", "::ffff:10.64.0.7", ""},
		{"equal", "192.0.2.1", "192.0.2.1", ""},
		{"families", "192.0.2.1", "fd00::7", "nat: rewrite 192.0.2.1 to fd00::7: addresses of two families"},
		{"families, mapped", "fd00::7", "::ffff:192.0.2.1", "nat: rewrite fd00::7 to 192.0.2.1: addresses of two families"},
		{"zone in from", "fe80::1%eth0", "fd00::7", "nat: rewrite fe80::1%eth0 to fd00::7: address with a zone"},
		{"zone in to", "fd00::7", "fe80::1%eth0", "nat: rewrite fd00::7 to fe80::1%eth0: address with a zone"},
		{"none", "", "10.64.0.7", "nat: rewrite invalid IP to 10.64.0.7: no address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, _ := netip.ParseAddr(tt.from)
			to, _ := netip.ParseAddr(tt.to)
			r, err := NewRewrite(from, to)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || r.from != from.Unmap() || r.to != to.Unmap() {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestSetSource gives errors and other packets another source.
func TestSetSource(t *testing.T) {
	for seed := range uint64(4000) {
		for _, p := range [][3]netip.Addr{{tun4, hop4, far4}, {tun6, hop6, far6}} {
			s := random(seed, p[0], p[2], false, true)
			before := s.build()
			s.src = p[1]
			after := s.build()
			b := bytes.Clone(before)
			m := parse(t, b)
			SetSource(b, &m, p[1])
			if !bytes.Equal(b, after) || m != parse(t, b) {
				t.Fatalf("seed %d: %+v\nbefore % x\ngot    % x\nwant   % x", seed, m, before, b, after)
			}
		}
	}
	// An IPv4-mapped source is an IPv6 address like any other.
	b := spec{src: far6, dst: tun6, proto: packet.ProtoUDP, upper: make([]byte, 8)}.build()
	m := parse(t, b)
	SetSource(b, &m, netip.MustParseAddr("::ffff:192.0.2.1"))
	if m != parse(t, b) || naiveSum(pseudo(m.Src, m.Dst, m.Proto, 8), b[40:]) != 0xffff {
		t.Errorf("mapped: %+v, % x", m, b)
	}
}

func TestAllocs(t *testing.T) {
	for _, g := range []string{tcp4Before, udp6Before, error4Before, error6Before} {
		b := golden(t, g)
		m := parse(t, b)
		out := !strings.Contains(g, "ICMP")
		from, to := m.Src, hop4
		if !out {
			from = m.Dst
		}
		if m.Version == 6 {
			to = hop6
		}
		there, back := rewrite(t, from, to), rewrite(t, to, from)
		n := testing.AllocsPerRun(100, func() {
			if translate(&there, b, &m, out) != packet.OK || translate(&back, b, &m, out) != packet.OK {
				t.Fatal("not translated")
			}
			src := m.Src
			SetSource(b, &m, to)
			SetSource(b, &m, src)
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkSource(b *testing.B) {
	for _, p := range []struct {
		name, packet string
		from, to     netip.Addr
	}{{"tcp4", tcp4Before, tun4, hop4}, {"udp6", udp6Before, tun6, hop6}} {
		b.Run(p.name, func(b *testing.B) {
			pkt := golden(b, p.packet)
			m := parse(b, pkt)
			r := rewrite(b, p.from, p.to)
			b.ReportAllocs()
			for b.Loop() {
				r.Source(pkt, &m)
			}
		})
	}
}

func BenchmarkQuote(b *testing.B) {
	pkt := golden(b, error4Before)
	m := parse(b, pkt)
	there, back := rewrite(b, tun4, hop4), rewrite(b, hop4, tun4)
	b.ReportAllocs()
	for b.Loop() {
		there.Destination(pkt, &m)
		back.Destination(pkt, &m)
	}
}
