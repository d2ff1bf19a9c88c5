package nat

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"multihop/packet"
)

// TestMendZero: a datagram whose checksum comes to 0 and that carries 0, as
// wireguard-go's TUN writes it, leaves with a valid one; one that carries 0
// because it has none still has none.
func TestMendZero(t *testing.T) {
	for _, tt := range []struct{ name, src, dst, to string }{
		{"IPv4", "10.1.0.2", "198.51.100.7", "10.2.0.2"},
		{"IPv4, same address", "10.1.0.2", "198.51.100.7", "10.1.0.2"},
		{"IPv6", "fd01::2", "2001:db8::7", "fd02::9"},
		{"IPv6, same address", "fd01::2", "2001:db8::7", "fd01::2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddrPort(bracket(tt.src)+":4000"), netip.MustParseAddrPort(bracket(tt.dst)+":7")
			over := packet.UDPOverhead(dst.Addr())
			make0 := func(word uint16) []byte {
				b := make([]byte, over+10)
				binary.BigEndian.PutUint16(b[over:], word)
				return b[:packet.PutUDP(b, src, dst, 10, true)]
			}
			// The word that makes the checksum come to 0, which PutUDP writes as
			// 0xffff: the one that the checksum is with a word of 0.
			b := make0(0)
			check := over - 2
			b = make0(get(b[check:]))
			if got := get(b[check:]); got != 0xffff {
				t.Fatalf("the test's packet has checksum %#x", got)
			}
			r, err := NewRewrite(src.Addr(), netip.MustParseAddr(tt.to))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct {
				name    string
				payload byte // in the last byte: spoils the sum
				valid   bool
			}{{"comes to 0", 0, true}, {"has none", 1, false}} {
				p := append([]byte(nil), b...)
				put(p[check:], 0)
				p[len(p)-1] = x.payload
				var m packet.Meta
				if v := m.Parse(p); v != packet.OK {
					t.Fatal(v)
				}
				if v := r.Source(p, &m); v != packet.OK {
					t.Fatal(v)
				}
				got := get(p[check:])
				if !x.valid {
					if got != 0 {
						t.Errorf("%s: became %#x", x.name, got)
					}
					continue
				}
				addrs := p[12:20]
				if m.Version == 6 {
					addrs = p[8:40]
				}
				if sum := packet.Fold(packet.Sum(p[m.L4:], packet.Sum(addrs, uint32(packet.ProtoUDP+len(p)-m.L4)))); got == 0 || sum != 0xffff {
					t.Errorf("%s: checksum %#x, sum %#x", x.name, got, sum)
				}
			}
		})
	}
}

func bracket(a string) string {
	if netip.MustParseAddr(a).Is6() {
		return "[" + a + "]"
	}
	return a
}
