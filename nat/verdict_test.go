package nat

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"multihop/packet"
)

// quoting returns an inbound error of the given type that quotes the packet q.
func quoting(typ byte, q []byte) []byte {
	s := spec{src: far4, dst: hop4, proto: packet.ProtoICMP}
	if q[0]>>4 == 6 {
		s = spec{src: far6, dst: hop6, proto: packet.ProtoICMPv6}
	}
	s.upper = append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, q...)
	return s.build()
}

func TestVerdicts(t *testing.T) {
	ours4 := spec{src: hop4, dst: far4, proto: packet.ProtoUDP, upper: make([]byte, 20)}
	ours6 := spec{src: hop6, dst: far6, proto: packet.ProtoUDP, upper: make([]byte, 20)}
	foreign4, foreign6 := ours4, ours6
	foreign4.src, foreign6.src = tun4, tun6
	swapped4 := ours4
	swapped4.src, swapped4.dst = far4, hop4
	edit := func(b []byte, at int, v ...byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], v)
		return b
	}
	routed := ours6
	routed.exts = []ext{{43, []byte{0, 0, 4, 1, 0, 0, 0, 0}}}
	sourceRouted := ours4
	sourceRouted.options = []byte{131, 3, 4, 0}
	tcp := ours4
	tcp.proto = packet.ProtoTCP
	tcp6 := ours6
	tcp6.proto = packet.ProtoTCP
	// Where the checksum of the quoted TCP header is in the next fragment.
	split4 := fragment(quoting(3, tcp.build()), 0, 40)
	split6 := fragment(quoting(1, tcp6.build()), 0, 64)
	// Where it is in this one.
	whole4 := fragment(quoting(3, tcp.build()), 0, 48)

	tests := []struct {
		name string
		b    []byte
		want packet.Verdict
	}{
		{"ours", quoting(3, ours4.build()), packet.OK},
		{"ours, IPv6", quoting(1, ours6.build()), packet.OK},
		{"ours, 20 bytes", quoting(3, ours4.build()[:20]), packet.OK},
		{"ours, 40 bytes of IPv6", quoting(2, ours6.build()[:40]), packet.OK},
		{"19 bytes", quoting(3, ours4.build()[:19]), packet.Quote},
		{"39 bytes of IPv6", quoting(2, ours6.build()[:39]), packet.Quote},
		{"half a checksum", quoting(3, ours4.build()[:27]), packet.Quote},
		{"not ours", quoting(3, foreign4.build()), packet.Quote},
		{"not ours, IPv6", quoting(1, foreign6.build()), packet.Quote},
		{"to us, not from us", quoting(3, swapped4.build()), packet.Quote},
		{"other version", quoting(3, edit(ours4.build(), 0, 0x65)), packet.Quote},
		{"IHL 4", quoting(3, edit(ours4.build(), 0, 0x44)), packet.Quote},
		{"AH", quoting(11, edit(ours4.build(), 9, packet.ProtoAH)), packet.Quote},
		{"source route", quoting(11, sourceRouted.build()), packet.Quote},
		{"segments left", quoting(3, routed.build()), packet.Quote},
		{"error about an error", quoting(3, edit(edit(ours4.build(), 9, packet.ProtoICMP), 20, 3)), packet.Quote},
		{"error about an error, IPv6", quoting(1, edit(edit(ours6.build(), 6, packet.ProtoICMPv6), 40, 3)), packet.Quote},
		{"source quench", quoting(4, ours4.build()), packet.Quote},
		{"redirect", quoting(5, ours4.build()), packet.Quote},
		{"IPv6 redirect", quoting(137, ours6.build()), packet.Quote},
		{"unassigned IPv6 error", quoting(100, ours6.build()), packet.Quote},
		{"first fragment without the quoted checksum", split4, packet.Quote},
		{"first fragment without the quoted checksum, IPv6", split6, packet.Quote},
		{"first fragment with the quoted checksum", whole4, packet.OK},
		{"later fragment of an error", fragment(quoting(3, foreign4.build()), 8, 100), packet.OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(tt.b)
			m := parse(t, b)
			before := m
			from, to := hop4, tun4
			if m.Version == 6 {
				from, to = hop6, tun6
			}
			r := rewrite(t, from, to)
			if got := r.Destination(b, &m); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if tt.want != packet.OK && (!bytes.Equal(b, tt.b) || m != before) {
				t.Error("dropped, but changed")
			}

			// From one address to itself: the same verdict, and not one byte.
			b, m = bytes.Clone(tt.b), before
			r = rewrite(t, from, from)
			if got := r.Destination(b, &m); got != tt.want {
				t.Errorf("to itself: got %v, want %v", got, tt.want)
			}
			if !bytes.Equal(b, tt.b) || m != before {
				t.Error("to itself: changed")
			}
		})
	}
}

// TestToItself sets every checksum to 0xffff, and 0, which another rewrite
// would normalise.
func TestToItself(t *testing.T) {
	for _, g := range []string{tcp4Before, udp6Before, error4Before, error6Before} {
		for _, v := range []uint16{0, 0xffff} {
			b := golden(t, g)
			m := parse(t, b)
			out := true
			from := m.Src
			if m.Version == 4 {
				binary.BigEndian.PutUint16(b[10:], v)
			}
			if packet.IsICMPError(b, &m) {
				out, from = false, m.Dst
				binary.BigEndian.PutUint16(b[m.L4+2:], v)
				if m.Version == 4 {
					binary.BigEndian.PutUint16(b[28+10:], v)
					binary.BigEndian.PutUint16(b[28+20+6:], v)
				}
			} else if at := checksumAt(&m); at != 0 {
				binary.BigEndian.PutUint16(b[at:], v)
			}
			before := bytes.Clone(b)
			r := rewrite(t, from, from)
			if got := translate(&r, b, &m, out); got != packet.OK || !bytes.Equal(b, before) {
				t.Errorf("checksums %#x: verdict %v\ngot  % x\nwant % x", v, got, b, before)
			}
		}
	}
}

// TestQuotedExtended keeps off what follows a quote by RFC 4884, and off what
// pads it.
func TestQuotedExtended(t *testing.T) {
	for _, n := range []int{20, 23, 24, 26, 28, 40} {
		extended := func(src bool) []byte {
			a := hop4
			if src {
				a = tun4
			}
			q := spec{src: a, dst: far4, proto: packet.ProtoUDP, upper: bytes.Repeat([]byte{0x5a}, 20)}.build()
			q = q[:n]
			q[2], q[3] = 0, byte(n) // its own length ends it
			checkHeader(q)
			field := append(q, bytes.Repeat([]byte{0x77}, 128-n)...)
			mpls := []byte{0x20, 0, 0, 0, 0, 8, 1, 1, 0x12, 0x34, 0x51, 0x01}
			s := spec{src: far4, dst: a, proto: packet.ProtoICMP}
			s.upper = slices.Concat([]byte{11, 0, 0, 0, 0, 32, 0, 0}, field, mpls)
			return s.build()
		}
		b, want := extended(false), extended(true)
		m := parse(t, b)
		r := rewrite(t, hop4, tun4)
		if v := r.Destination(b, &m); v != packet.OK || !bytes.Equal(b, want) {
			t.Errorf("%d bytes quoted: verdict %v\ngot  % x\nwant % x", n, v, b, want)
		}
	}
}
