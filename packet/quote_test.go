package packet

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
)

func TestQuoted(t *testing.T) {
	from4 := Meta{Src: host4, Dst: peer4, Version: 4, L4: 20, FragID: 0x1c46}
	from6 := Meta{Src: host6, Dst: peer6, Version: 6, L4: 40}
	with := func(m Meta, edit func(*Meta)) *Meta {
		edit(&m)
		return &m
	}
	// quoting returns an error that quotes n bytes of a packet.
	quoting := func(packet string, n int, edit func([]byte) []byte) []byte {
		p := edit(golden(t, packet))
		e := golden(t, error4)[:28]
		if p[0]>>4 == 6 {
			e = golden(t, error6)[:48]
		}
		e = append(e, p[:n]...)
		e[2], e[3] = byte(len(e)>>8), byte(len(e)) // of IPv4
		if p[0]>>4 == 6 {
			e[2], e[3] = 0, 0
			e[4], e[5] = byte((len(e)-40)>>8), byte(len(e)-40)
		}
		return e
	}
	none := func(b []byte) []byte { return b }

	tests := []struct {
		name string
		b    []byte
		want *Meta // nil: not quoted
	}{
		{"UDP, 8 bytes of it", golden(t, error4), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.SrcPort, q.DstPort = ProtoUDP, 28, 40000, 53
		})},
		{"TCP, whole", golden(t, error6), with(from6, func(q *Meta) {
			q.Proto, q.Len, q.SrcPort, q.DstPort, q.TCPFlags = ProtoTCP, 80, 49152, 443, FlagSYN
		})},
		{"TCP, 8 bytes of it", quoting(tcp4, 28, none), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.DF, q.SrcPort, q.DstPort = ProtoTCP, 28, true, 49152, 443
		})},
		{"no ports", quoting(udp4, 23, none), with(from4, func(q *Meta) { q.Proto, q.Len = ProtoUDP, 23 })},
		{"IP header only", quoting(udp4, 20, none), with(from4, func(q *Meta) { q.Proto, q.Len = ProtoUDP, 20 })},
		{"cut in the options", quoting(options4, 22, none), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.L4, q.DF = ProtoICMP, 22, 28, true
		})},
		{"options", quoting(options4, 36, none), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.L4, q.DF = ProtoICMP, 36, 28, true
		})},
		{"extension headers", quoting(chain6, 104, none), with(from6, func(q *Meta) {
			q.Proto, q.Len, q.L4, q.FragID, q.SrcPort, q.DstPort = ProtoUDP, 104, 96, 0xdeadbeef, 40000, 53
		})},
		{"cut between extension headers", quoting(chain6, 48, none), with(from6, func(q *Meta) {
			q.Proto, q.Len, q.L4 = extRouting, 48, 48
		})},
		{"cut in an extension header", quoting(chain6, 60, none), with(from6, func(q *Meta) {
			q.Proto, q.Len, q.L4 = extFragment, 60, 72
		})},
		{"padded", quoting(udp4, 36, set(3, 24)), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.SrcPort, q.DstPort = ProtoUDP, 24, 40000, 53
		})},
		{"later fragment", quoting(udp4, 36, set(6, 0, 4)), with(from4, func(q *Meta) {
			q.Proto, q.Len, q.FragOffset = ProtoUDP, 36, 32
		})},
		{"first IPv6 fragment, cut at any byte", quoting(tcp6, 60, cut6(88, 1)), with(from6, func(q *Meta) {
			q.Proto, q.Len, q.L4, q.MF, q.FragID, q.SrcPort, q.DstPort = ProtoTCP, 60, 48, true, 7, 49152, 443
		})},

		{"nothing", quoting(udp4, 0, none), nil},
		{"less than an IP header", quoting(udp4, 19, none), nil},
		{"less than an IPv6 header", quoting(tcp6, 39, none), nil},
		{"other version", quoting(udp4, 36, set(0, 0x65)), nil},
		{"IHL 4", quoting(udp4, 36, set(0, 0x44)), nil},
		{"total length below IHL", quoting(udp4, 36, set(2, 0, 19)), nil},
		{"source route", quoting(options4, 40, set(21, optLSRR)), nil},
		{"AH", quoting(udp4, 36, set(9, ProtoAH)), nil},
		{"AH in IPv6", quoting(tcp6, 80, set(6, ProtoAH)), nil},
		{"segments left", quoting(chain6, 104, set(51, 1)), nil},
		{"not an error", golden(t, options4), nil},
		{"not ICMP", golden(t, udp4), nil},
		{"later fragment of an error", set(6, 0, 4)(golden(t, error4)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := append(tt.b, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88) // not of the packet
			m := parse(t, b)
			var q Meta
			ok := Quoted(b, &m, &q)
			if ok != (tt.want != nil) {
				t.Fatalf("got %v: %+v", ok, q)
			}
			if ok && q != *tt.want {
				t.Errorf("got  %+v\nwant %+v", q, *tt.want)
			}
		})
	}
}

// TestQuotedExtended is about RFC 4884: what follows the original datagram
// field is not of the quoted packet.
func TestQuotedExtended(t *testing.T) {
	const fieldLen, extLen = 128, 16
	tests := []struct {
		name   string
		typ    byte
		length byte // in words of 4 (IPv4) or 8 bytes (IPv6)
		v6     bool
		want   int
	}{
		{"time exceeded", 11, fieldLen / 4, false, fieldLen},
		{"no length: RFC 792", 11, 0, false, fieldLen + extLen},
		{"too small to be a length", 11, 31, false, fieldLen + extLen},
		{"longer than the message", 3, 255, false, fieldLen + extLen},
		{"ICMPv6 time exceeded", 3, fieldLen / 8, true, fieldLen},
		{"ICMPv6 packet too big has no length", 2, fieldLen / 8, true, fieldLen + extLen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := make([]byte, 1280)
			quoted := make([]byte, 1280)
			src, dst, at := netip.AddrPortFrom(host4, 1), netip.AddrPortFrom(peer4, 1), 20
			if tt.v6 {
				src, dst, at = netip.AddrPortFrom(host6, 1), netip.AddrPortFrom(peer6, 1), 40
			}
			PutUDP(quoted, src, dst, 500, true)
			om := parse(t, quoted)
			if PutICMPError(b[:at+8+fieldLen+extLen], quoted, &om, NoRoute, 0) == 0 {
				t.Fatal("no error written")
			}
			b[at] = tt.typ
			b[at+5], b[at+4] = tt.length, 0
			if tt.v6 {
				b[at+4], b[at+5] = tt.length, 0
			}
			m := parse(t, b)
			var q Meta
			if !Quoted(b, &m, &q) || q.Len != tt.want {
				t.Errorf("quoted %d bytes, want %d", q.Len, tt.want)
			}
		})
	}
}

func TestICMPTypes(t *testing.T) {
	for typ := range 256 {
		b4, b6 := golden(t, error4), golden(t, error6)
		b4[20], b6[40] = byte(typ), byte(typ)
		m4, m6 := parse(t, b4), parse(t, b6)

		is4 := typ == 3 || typ == 11 || typ == 12
		is6 := 1 <= typ && typ <= 4
		if got := IsICMPError(b4, &m4); got != is4 {
			t.Errorf("ICMP type %d: IsICMPError %v", typ, got)
		}
		if got := IsICMPError(b6, &m6); got != is6 {
			t.Errorf("ICMPv6 type %d: IsICMPError %v", typ, got)
		}
		if got := QuotesPacket(b4, &m4); got != (is4 || typ == 4 || typ == 5) {
			t.Errorf("ICMP type %d: QuotesPacket %v", typ, got)
		}
		if got := QuotesPacket(b6, &m6); got != (typ < 128 || typ == 137) {
			t.Errorf("ICMPv6 type %d: QuotesPacket %v", typ, got)
		}
	}
}

// FuzzQuote puts arbitrary bytes, behind an error's header, at the very end of
// a buffer.
func FuzzQuote(f *testing.F) {
	for _, g := range goldens {
		b := golden(f, g)
		f.Add(b, uint8(0), b[0]>>4 == 6)
		f.Add(b[:len(b)-3], uint8(32), b[0]>>4 == 6)
	}
	head4, head6 := golden(f, error4)[:28], golden(f, error6)[:48]
	f.Fuzz(func(t *testing.T, d []byte, length uint8, v6 bool) {
		if len(d) > 1500 {
			return
		}
		var b []byte
		if v6 {
			b = slices.Concat(head6, d)
			b[40], b[44] = icmp6Unreachable, length
			b[4], b[5] = byte((len(b)-40)>>8), byte(len(b)-40)
		} else {
			b = slices.Concat(head4, d)
			b[25] = length
			b[2], b[3] = byte(len(b)>>8), byte(len(b))
		}
		b = b[:len(b):len(b)]
		m := parse(t, b)
		before := bytes.Clone(b)
		var q Meta
		ok := Quoted(b, &m, &q)
		if !bytes.Equal(b, before) {
			t.Fatal("the packet changed")
		}
		var p Meta
		unit := 4 // of the length that RFC 4884 cuts the quote to
		if v6 {
			unit = 8
		}
		if p.Parse(d) == OK && int(length)*unit < 128 {
			// A packet that is quoted whole is read as Parse reads it.
			if ok != (p.Version == m.Version) {
				t.Fatalf("quoted %v: %+v", ok, p)
			}
			if ok && p != q {
				t.Fatalf("got  %+v\nwant %+v", q, p)
			}
		}
		if !ok {
			return
		}
		if q.Len > len(d) || q.Version != m.Version || q.Len < 20 || q.L4 < 20 {
			t.Fatalf("out of bounds: %+v of %d bytes", q, len(d))
		}
		if q.L4 >= q.Len && q.SrcPort|q.DstPort != 0 {
			t.Fatalf("ports that are not quoted: %+v", q)
		}
	})
}
