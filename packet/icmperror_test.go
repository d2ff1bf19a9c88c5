package packet

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
)

func TestPutICMPError(t *testing.T) {
	tests := []struct {
		name, packet string
		kind         ICMPKind
		mtu          int
		want         string // without the quote, which is the whole packet
	}{
		{"prohibited", udp4, AdminProhibited, 1400, `
45 c0 00 40 00 00 40 00 40 01 4d bf c6 33 64 09 c0 00 02 01  // IPv4: ICMP, 198.51.100.9 to 192.0.2.1, precedence 6
03 0d e9 52 00 00 00 00                                      // ICMP: administratively prohibited`},
		{"no route", udp4, NoRoute, 0, `
45 c0 00 40 00 00 40 00 40 01 4d bf c6 33 64 09 c0 00 02 01
03 00 e9 5f 00 00 00 00                                      // ICMP: network unreachable`},
		{"fragmentation needed", tcp4, TooBig, 1340, `
45 c0 00 58 00 00 40 00 40 01 4d a7 c6 33 64 09 c0 00 02 01
03 04 e4 2c 00 00 05 3c                                      // ICMP: fragmentation needed, MTU 1340`},
		{"prohibited, IPv6", tcp6, AdminProhibited, 1400, `
60 00 00 00 00 58 3a 40                                      // IPv6: ICMPv6
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
01 01 3c b1 00 00 00 00                                      // ICMPv6: administratively prohibited`},
		{"no route, IPv6", tcp6, NoRoute, 0, `
60 00 00 00 00 58 3a 40
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
01 00 3c b2 00 00 00 00                                      // ICMPv6: no route to destination`},
		{"packet too big", tcp6, TooBig, 1280, `
60 00 00 00 00 58 3a 40
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
02 00 36 b2 00 00 05 00                                      // ICMPv6: packet too big, MTU 1280`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			orig := golden(t, tt.packet)
			m := parse(t, orig)
			b := make([]byte, 1280)
			n := PutICMPError(b, append(orig, "beyond"...), &m, tt.kind, tt.mtu)
			want := append(golden(t, tt.want), orig...)
			if !bytes.Equal(b[:n], want) {
				t.Errorf("got  % x\nwant % x", b[:n], want)
			}
		})
	}
}

// TestPutICMPErrorLength quotes packets and buffers of every length.
func TestPutICMPErrorLength(t *testing.T) {
	for _, addrs := range [][2]netip.Addr{{host4, peer4}, {host6, peer6}} {
		head, limit := 20, 576
		if addrs[0].Is6() {
			head, limit = 40, 1280
		}
		orig := bytes.Repeat([]byte{0xa5}, 1500)
		for n := 0; head+8+n <= len(orig); n += 7 {
			PutUDP(orig, netip.AddrPortFrom(addrs[0], 40000), netip.AddrPortFrom(addrs[1], 53), n, true)
			m := parse(t, orig)
			for _, room := range []int{0, head + 7, 2*head + 15, 2*head + 16, 300, 575, 576, 1279, 1280, 2000} {
				b := make([]byte, room)
				got := PutICMPError(b, orig, &m, TooBig, 1400)
				want := min(head+8+m.Len, limit, room)
				if room < 2*head+16 {
					want = 0
				}
				if got != want {
					t.Fatalf("packet of %d in %d bytes: error of %d, want %d", m.Len, room, got, want)
				}
				if got == 0 {
					continue
				}
				e := parse(t, b[:got])
				if e.Src != m.Dst || e.Dst != m.Src || !IsICMPError(b, &e) || l4Sum(b, &e) != 0xffff {
					t.Fatalf("error: %+v, % x", e, b[:got])
				}
				if e.Version == 4 && naiveSum(b[:20]) != 0xffff {
					t.Fatalf("IPv4 checksum: % x", b[:got])
				}
				var q Meta
				if !Quoted(b, &e, &q) || q.Src != m.Src || q.Dst != m.Dst || q.SrcPort != 40000 || q.DstPort != 53 {
					t.Fatalf("quote: %+v", q)
				}
			}
		}
	}
}

func TestPutICMPErrorForbidden(t *testing.T) {
	type test struct {
		name   string
		packet string
		edit   func([]byte) []byte
		answer bool
	}
	addr := func(at int, a string) func([]byte) []byte {
		return set(at, netip.MustParseAddr(a).AsSlice()...)
	}
	tests := []test{
		{"whole packet", udp4, set(0), true},
		{"echo request", options4, set(0), true},
		{"echo request, IPv6", error6, set(40, 128), true},
		{"first fragment", udp4, cut4(28, ipv4MF), true},
		{"later fragment", udp4, cut4(36, 4), false},
		{"first fragment, IPv6", tcp6, cut6(88, 1), true},
		{"later fragment, IPv6", tcp6, cut6(88, 8), false},
		{"atomic fragment", chain6, set(0), true},
	}
	for _, typ := range []byte{3, 4, 5, 11, 12} {
		tests = append(tests, test{fmt.Sprintf("ICMP type %d", typ), error4, set(20, typ), false})
	}
	for _, typ := range []byte{0, 1, 2, 3, 4, 5, 127, 137} {
		tests = append(tests, test{fmt.Sprintf("ICMPv6 type %d", typ), error6, set(40, typ), false})
	}
	for _, a := range []string{"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"} {
		tests = append(tests, test{"from " + a, udp4, addr(12, a), false}, test{"to " + a, udp4, addr(16, a), false})
	}
	for _, a := range []string{"::", "::1", "ff02::1", "ff0e::1"} {
		tests = append(tests, test{"from " + a, tcp6, addr(8, a), false}, test{"to " + a, tcp6, addr(24, a), false})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.edit(golden(t, tt.packet))
			m := parse(t, b)
			for _, kind := range []ICMPKind{AdminProhibited, NoRoute, TooBig} {
				if n := PutICMPError(make([]byte, 1280), b, &m, kind, 1280); (n > 0) != tt.answer {
					t.Errorf("kind %d: error of %d bytes", kind, n)
				}
			}
		})
	}
}

func TestPutICMPErrorMTU(t *testing.T) {
	for _, tt := range []struct {
		name, packet string
		mtu          int
		want         []byte
	}{
		{"IPv4", udp4, 68, []byte{0, 0, 0, 68}},
		{"IPv4, more than its field holds", udp4, 70000, []byte{0, 0, 0xff, 0xff}},
		{"IPv4, negative", udp4, -1, []byte{0, 0, 0, 0}},
		{"IPv6", tcp6, 70000, []byte{0, 1, 0x11, 0x70}},
		{"IPv6, negative", tcp6, -1, []byte{0, 0, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			orig := golden(t, tt.packet)
			m := parse(t, orig)
			b := make([]byte, 1280)
			n := PutICMPError(b, orig, &m, TooBig, tt.mtu)
			e := parse(t, b[:n])
			if got := b[e.L4+4 : e.L4+8]; !bytes.Equal(got, tt.want) {
				t.Errorf("got % x, want % x", got, tt.want)
			}
		})
	}
}
