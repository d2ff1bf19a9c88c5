package packet

import (
	"net/netip"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, packet string
		want         Meta
	}{
		{"TCP over IPv4", tcp4, Meta{Src: host4, Dst: peer4, Len: 60, L4: 20, Version: 4, Proto: ProtoTCP,
			DF: true, FragID: 0x1c46, SrcPort: 49152, DstPort: 443, TCPFlags: FlagSYN}},
		{"UDP over IPv4", udp4, Meta{Src: host4, Dst: peer4, Len: 36, L4: 20, Version: 4, Proto: ProtoUDP,
			FragID: 0x1c46, SrcPort: 40000, DstPort: 53}},
		{"IPv4 options", options4, Meta{Src: host4, Dst: peer4, Len: 40, L4: 28, Version: 4, Proto: ProtoICMP,
			DF: true, FragID: 0x1c46}},
		{"TCP over IPv6", tcp6, Meta{Src: host6, Dst: peer6, Len: 80, L4: 40, Version: 6, Proto: ProtoTCP,
			SrcPort: 49152, DstPort: 443, TCPFlags: FlagSYN}},
		{"every extension header, atomic fragment", chain6, Meta{Src: host6, Dst: peer6, Len: 112, L4: 96, Version: 6, Proto: ProtoUDP,
			FragID: 0xdeadbeef, SrcPort: 40000, DstPort: 53}},
		{"ICMP error", error4, Meta{Src: netip.MustParseAddr("203.0.113.1"), Dst: host4, Len: 56, L4: 20, Version: 4, Proto: ProtoICMP,
			FragID: 0x1c46}},
		{"ICMPv6 error", error6, Meta{Src: netip.MustParseAddr("2001:db8:9::1"), Dst: host6, Len: 128, L4: 40, Version: 6, Proto: ProtoICMPv6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := golden(t, tt.packet)
			if got := parse(t, b); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if got := parse(t, append(b, 0xaa, 0xbb)); got != tt.want {
				t.Errorf("with trailing bytes: got  %+v\nwant %+v", got, tt.want)
			}
			used := Meta{Src: peer6, Dst: host4, Len: 1, L4: 2, Version: 3, Proto: 4, DF: true, MF: true,
				FragOffset: 5, FragID: 6, SrcPort: 7, DstPort: 8, TCPFlags: 9}
			if used.Parse(b); used != tt.want {
				t.Errorf("into a used Meta: got  %+v\nwant %+v", used, tt.want)
			}
			for n := range b {
				var m Meta
				if v := m.Parse(b[:n:n]); v != Malformed {
					t.Errorf("cut to %d bytes: %v", n, v)
				}
			}
		})
	}
}

// set returns an edit that overwrites bytes from offset at on.
func set(at int, with ...byte) func([]byte) []byte {
	return func(b []byte) []byte {
		copy(b[at:], with)
		return b
	}
}

// cut4 and cut6 return an edit that shortens a packet to n bytes, by its
// header too, and writes the fragment word of an IPv4 header or of a fragment
// header at offset 40.
func cut4(n int, frag uint16) func([]byte) []byte {
	return func(b []byte) []byte {
		b[2], b[3] = byte(n>>8), byte(n)
		b[6], b[7] = byte(frag>>8), byte(frag)
		return b[:n]
	}
}

func cut6(n int, frag uint16) func([]byte) []byte {
	return func(b []byte) []byte {
		f := []byte{b[6], 0, byte(frag >> 8), byte(frag), 0, 0, 0, 7}
		b[6] = extFragment
		b = append(b[:40:40], append(f, b[40:]...)...)[:n]
		b[4], b[5] = byte((n-40)>>8), byte(n-40)
		return b
	}
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name, packet string
		edit         func([]byte) []byte
		want         Verdict
	}{
		{"version 0", tcp4, set(0, 0x05), Malformed},
		{"version 5", tcp4, set(0, 0x55), Malformed},
		{"IPv4 called IPv6", udp4, set(0, 0x65), Malformed},
		{"IPv6 called IPv4", tcp6, set(0, 0x40), Malformed},

		{"IHL 0", tcp4, set(0, 0x40), Malformed},
		{"IHL 4", tcp4, set(0, 0x44), Malformed},
		{"IHL 15 of 20 bytes", udp4, set(0, 0x4f), Malformed},
		{"total length 0", tcp4, set(2, 0, 0), Malformed},
		{"total length below IHL", options4, set(2, 0, 27), Malformed},
		{"total length past the end", tcp4, set(2, 0, 61), Malformed},
		{"total length 65535", tcp4, set(2, 0xff, 0xff), Malformed},

		{"loose source route", options4, set(21, optLSRR), SourceRoute},
		{"strict source route", options4, set(21, optSSRR), SourceRoute},
		{"source route as the last byte", options4, set(20, 1, 1, 1, 1, 1, 1, 1, optLSRR), SourceRoute},
		{"source route behind the end of options", options4, set(20, optEnd, optLSRR), OK},
		{"option of length 0", options4, set(22, 0), Malformed},
		{"option of length 1", options4, set(22, 1), Malformed},
		{"option past the header", options4, set(22, 8), Malformed},
		{"option without a length", options4, set(20, 1, 1, 1, 1, 1, 1, 1, 7), Malformed},

		{"TCP data offset 4", tcp4, set(32, 0x40), Malformed},
		{"TCP data offset past the packet", tcp4, set(32, 0xb0), Malformed},
		{"TCP cut", tcp4, cut4(39, 0), Malformed},
		{"UDP cut", udp4, cut4(27, 0), Malformed},
		{"UDP-Lite cut", udp4, func(b []byte) []byte { b[9] = ProtoUDPLite; return cut4(27, 0)(b) }, Malformed},
		{"DCCP cut", udp4, func(b []byte) []byte { b[9] = ProtoDCCP; return cut4(31, 0)(b) }, Malformed},
		{"SCTP cut", udp4, func(b []byte) []byte { b[9] = ProtoSCTP; return cut4(31, 0)(b) }, Malformed},
		{"ICMP cut", options4, cut4(35, 0), Malformed},
		{"ICMPv6 cut", error6, func(b []byte) []byte { b[5] = 7; return b[:47] }, Malformed},
		{"no upper layer at all", udp4, cut4(20, 0), Malformed},
		{"unknown protocol, empty", udp4, func(b []byte) []byte { b[9] = 200; return cut4(20, 0)(b) }, OK},
		{"ESP", udp4, set(9, 50), OK},
		{"ICMPv6 in IPv4 is unknown", udp4, set(9, ProtoICMPv6), OK},
		{"ICMP in IPv6 is unknown", tcp6, set(6, ProtoICMP), OK},
		{"AH over IPv4", udp4, set(9, ProtoAH), AH},
		{"AH in a later fragment", udp4, func(b []byte) []byte { b[9] = ProtoAH; return set(6, 0, 2)(b) }, AH},
		{"AH over IPv6", tcp6, set(6, ProtoAH), AH},
		{"AH behind an extension header", chain6, set(80, ProtoAH), AH},

		{"first fragment", udp4, cut4(28, ipv4MF), OK},
		{"first fragment without all of UDP", udp4, func(b []byte) []byte { b[0] = 0x46; return cut4(24, ipv4MF)(b) }, Malformed},
		{"first fragment without all of TCP", tcp4, cut4(36, ipv4MF), ShortFragment},
		{"first fragment without TCP's options", tcp4, cut4(44, ipv4MF), ShortFragment},
		{"first fragment, empty", udp4, cut4(20, ipv4MF), ShortFragment},
		{"first fragment not a multiple of 8", udp4, cut4(30, ipv4MF), Malformed},
		{"later fragment", udp4, cut4(36, 1|ipv4MF), OK},
		{"later fragment not a multiple of 8", udp4, cut4(35, 1|ipv4MF), Malformed},
		{"last fragment of 1 byte", udp4, cut4(21, 1), OK},
		{"fragment of a packet of 65535", udp4, cut4(23, 65512/8), OK},
		{"fragment of a packet of 65536", udp4, cut4(24, 65512/8), Malformed},

		{"IPv6 fixed header only", tcp6, func(b []byte) []byte { b[4], b[5] = 0, 0; return b[:40] }, Malformed},
		{"IPv6 payload length past the end", tcp6, set(4, 0, 41), Malformed},
		{"IPv6 payload length 65535", tcp6, set(4, 0xff, 0xff), Malformed},
		{"no next header", tcp6, set(6, 59), OK},
		{"routing header with segments left", chain6, set(51, 1), Extension},
		{"hop-by-hop not first", chain6, set(48, extHopByHop), Extension},
		{"second fragment header", chain6, set(72, extFragment), Extension},
		{"extension header past the packet", chain6, set(81, 4), Malformed},
		{"extension header ends with the packet", chain6, func(b []byte) []byte { b[80] = 59; b[81] = 3; return b }, OK},
		{"extension header of 2048 bytes", chain6, set(41, 0xff), Malformed},
		{"eight extension headers", tcp6, chain(8), OK},
		{"nine extension headers", tcp6, chain(9), Extension},

		{"IPv6 first fragment", tcp6, cut6(88, 1), OK},
		{"IPv6 first fragment without TCP's options", tcp6, cut6(80, 1), ShortFragment},
		{"IPv6 first fragment without all of TCP", tcp6, cut6(64, 1), ShortFragment},
		{"IPv6 first fragment, empty", tcp6, cut6(48, 1), ShortFragment},
		{"IPv6 first fragment that ends in its headers", chain6, func(b []byte) []byte {
			b[75] = 1
			b[5] = 48
			b[81] = 5
			return b[:88]
		}, ShortFragment},
		{"IPv6 first fragment not a multiple of 8", tcp6, cut6(87, 1), Malformed},
		{"IPv6 later fragment", tcp6, cut6(50, 8), OK},
		{"IPv6 fragment past 65535", tcp6, cut6(88, 0xfff8), Malformed},
		{"IPv6 fragment header cut", tcp6, cut6(47, 8), Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.edit(golden(t, tt.packet))
			var m Meta
			if got := m.Parse(b[:len(b):len(b)]); got != tt.want {
				t.Errorf("got %v, want %v; %+v", got, tt.want, m)
			}
		})
	}
	var m Meta
	if v := m.Parse(nil); v != Malformed {
		t.Errorf("no bytes: %v", v)
	}
}

// chain returns an edit that puts n empty destination options headers between
// the IPv6 header and TCP.
func chain(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		var exts []byte
		for range n {
			exts = append(exts, extDestination, 0, 1, 4, 0, 0, 0, 0)
		}
		exts[8*(n-1)] = b[6]
		b[6] = extDestination
		b[5] += byte(8 * n)
		return append(b[:40:40], append(exts, b[40:]...)...)
	}
}

func TestFragments(t *testing.T) {
	tests := []struct {
		name, packet string
		edit         func([]byte) []byte
		want         Meta
	}{
		{"IPv4 first", udp4, cut4(28, ipv4MF),
			Meta{L4: 20, Len: 28, Proto: ProtoUDP, MF: true, FragID: 0x1c46, SrcPort: 40000, DstPort: 53}},
		{"IPv4 middle", udp4, cut4(36, ipv4MF|3),
			Meta{L4: 20, Len: 36, Proto: ProtoUDP, MF: true, FragOffset: 24, FragID: 0x1c46}},
		{"IPv4 last", udp4, cut4(36, 0x1000),
			Meta{L4: 20, Len: 36, Proto: ProtoUDP, FragOffset: 32768, FragID: 0x1c46}},
		{"IPv6 first", tcp6, cut6(88, 1),
			Meta{L4: 48, Len: 88, Proto: ProtoTCP, MF: true, FragID: 7, SrcPort: 49152, DstPort: 443, TCPFlags: FlagSYN}},
		{"IPv6 last", tcp6, cut6(49, 1456),
			Meta{L4: 48, Len: 49, Proto: ProtoTCP, FragOffset: 1456, FragID: 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parse(t, tt.edit(golden(t, tt.packet)))
			if !got.IsFragment() {
				t.Error("not a fragment")
			}
			got.Src, got.Dst, got.Version = netip.Addr{}, netip.Addr{}, 0
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestVerdictNames(t *testing.T) {
	want := []string{"ok", "malformed", "source_route", "extension", "short_fragment", "ah", "quote", "unknown"}
	for v, name := range want {
		if got := Verdict(v).String(); got != name {
			t.Errorf("Verdict(%d) = %q, want %q", v, got, name)
		}
	}
}

// FuzzParse checks what Parse promises of a packet that it accepts.
func FuzzParse(f *testing.F) {
	for _, g := range goldens {
		f.Add(golden(f, g))
	}
	f.Add(cut4(36, 0x1000)(golden(f, udp4)))
	f.Add(cut6(88, 1)(golden(f, tcp6)))
	f.Add(cut6(49, 1456)(golden(f, tcp6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Meta
		if m.Parse(b) != OK {
			return
		}
		if m.L4 < ipv4HeaderLen || m.Len < m.L4 || len(b) < m.Len || m.FragOffset+m.Len-m.L4 > 65535 {
			t.Fatalf("out of bounds: %+v of %d bytes", m, len(b))
		}
		if got := parse(t, b[:m.Len:m.Len]); got != m {
			t.Fatalf("without trailing bytes: got %+v, want %+v", got, m)
		}
		var src, dst netip.Addr
		if b[0]>>4 == 4 {
			src, _ = netip.AddrFromSlice(b[12:16])
			dst, _ = netip.AddrFromSlice(b[16:20])
		} else {
			src, _ = netip.AddrFromSlice(b[8:24])
			dst, _ = netip.AddrFromSlice(b[24:40])
		}
		if m.Src != src || m.Dst != dst {
			t.Fatalf("addresses: %+v", m)
		}
		// What accepts a packet must not be able to panic.
		UDPPayload(b, &m)
		ClampMSS(b, &m, 0)
		var q Meta
		Quoted(b, &m, &q)
		PutICMPError(make([]byte, 1280), b, &m, TooBig, 1280)
	})
}

func BenchmarkParse(b *testing.B) {
	for _, p := range []struct{ name, packet string }{{"tcp4", tcp4}, {"tcp6", tcp6}, {"chain6", chain6}} {
		pkt := golden(b, p.packet)
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			var m Meta
			for b.Loop() {
				if m.Parse(pkt) != OK {
					b.Fatal("not parsed")
				}
			}
		})
	}
}
