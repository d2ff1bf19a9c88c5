package nat

import (
	"encoding/binary"
	"math/rand/v2"

	"multihop/packet"
)

// A form is a packet whose addresses and free bytes are replaced in place, and
// whose checksums are then all computed anew, word by word, over every byte
// that they cover. It is what spec is to one packet, without allocation, for a
// thousand million of them. No code of packet or nat takes part.
type form struct {
	b    []byte
	v6   bool
	out  bool   // the address that is translated is the source
	free []span // bytes that may hold anything
	sums []sum  // an IPv4 header's, and the upper layer's unless whole has it

	// The packet that b holds n bytes of, from offset from on, at offset at:
	// it is quoted, or b is its first fragment.
	whole       *form
	from, at, n int

	upper int // where the upper layer, or what a later fragment has of it, starts
	quote int // where the packet that b quotes starts, if not 0
	check int // where the upper-layer checksum is that covers addresses, if not 0

	zero   bool // put: the datagram's own UDP checksum came to 0
	mended bool // it has a checksum in any case
}

type span struct{ from, to int }

// A sum is a checksum at offset at over the bytes of the span, and over the
// pseudo-header of n bytes of proto if that is not 0.
type sum struct {
	at    int
	over  span
	proto uint8
	n     int
	none  bool // it is 0 instead
}

// newForm returns the form of the packet s, which quotes none. out tells which
// address is translated.
func newForm(s spec, out bool) *form {
	f := newHeader(s, s.build(), out)
	h, n := f.upper, len(s.upper)
	all := sum{over: span{h, h + n}, proto: s.proto, n: n}
	switch {
	case s.proto == packet.ProtoTCP:
		f.free = append(f.free, span{h, h + 12}, span{h + 13, h + 16}, span{h + 18, h + n})
		all.at = h + 16
	case s.proto == packet.ProtoUDP:
		f.free = append(f.free, span{h, h + 4}, span{h + 8, h + n})
		all.at = h + 6
	case s.proto == packet.ProtoUDPLite:
		f.free = append(f.free, span{h, h + 4}, span{h + 8, h + n})
		all.at = h + 6
		if cover := int(binary.BigEndian.Uint16(s.upper[4:])); cover != 0 {
			all.over.to = h + cover // RFC 3828
		}
	case s.proto == packet.ProtoDCCP:
		f.free = append(f.free, span{h, h + 4}, span{h + 8, h + n})
		all.at = h + 6
	case s.proto == packet.ProtoICMP && !f.v6:
		f.free = append(f.free, span{h + 1, h + 2}, span{h + 4, h + n})
		all.at, all.proto = h+2, 0
	case s.proto == packet.ProtoICMPv6 && f.v6:
		f.free = append(f.free, span{h + 1, h + 2}, span{h + 4, h + n})
		all.at = h + 2
	default:
		f.free = append(f.free, span{h, h + n})
		return f
	}
	if all.proto != 0 {
		f.check = all.at
	}
	all.none = s.noCheck
	f.sums = append(f.sums, all)
	return f
}

// newHeader returns the form of b, which s.build or fragment made, with what
// its IP header says.
func newHeader(s spec, b []byte, out bool) *form {
	f := &form{b: b, v6: s.src.Is6(), out: out, upper: len(b) - len(s.upper)}
	if f.v6 {
		f.free = []span{{1, 4}, {7, 8}} // flow label, hop limit
		return f
	}
	f.free = []span{{1, 2}, {4, 6}, {8, 9}} // TOS, ID, TTL
	f.sums = []sum{{at: 10, over: span{0, f.upper}}}
	return f
}

// newError returns the form of the ICMP error of type typ from s.src to s.dst
// that quotes the first n bytes of q, or a few more, if those would end within
// its checksum.
func newError(s spec, typ byte, q *form, n int) *form {
	if q.check != 0 && n == q.check+1 {
		n++ // half of it cannot be updated
	}
	s.proto = packet.ProtoICMP
	if q.v6 {
		s.proto = packet.ProtoICMPv6
	}
	s.upper = append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, q.b[:n]...)
	f := newHeader(s, s.build(), !q.out)
	h := f.upper
	f.free = append(f.free, span{h + 1, h + 2}, span{h + 6, h + 8})
	all := sum{at: h + 2, over: span{h, len(f.b)}}
	if f.v6 {
		all.proto, all.n, f.check = s.proto, len(s.upper), h+2
	}
	f.sums = append(f.sums, all)
	f.whole, f.at, f.n = q, h+packet.ICMPHeaderLen, n
	f.quote = f.at
	return f
}

// newFirst returns the form of the first fragment of w, with n bytes of its
// payload, a multiple of 8 and not all.
func newFirst(s spec, w *form, n int) *form {
	b := fragment(w.b, 0, n)
	h := len(b) - n // of w, and IPv6's fragment header
	payload := 20 + len(s.options)
	if w.v6 {
		payload = 40 // its extension headers are a part of it
	}
	s.upper = b[h:]
	f := newHeader(s, b, w.out)
	f.whole, f.from, f.at, f.n = w, payload, h, n
	f.upper = w.upper - payload + h
	if w.check != 0 {
		f.check = w.check - payload + h
	}
	if w.quote != 0 {
		f.quote = w.quote - payload + h
	}
	return f
}

// newLater returns the form of a later fragment of n bytes, whose payload may
// look like anything: the last one, unless n is a multiple of 8.
func newLater(s spec, offset, n int, out bool) *form {
	more := 0
	if n%8 == 0 {
		more = 8
	}
	b := fragment(spec{src: s.src, dst: s.dst, options: s.options, proto: 200, upper: make([]byte, offset+n+more)}.build(), offset, offset+n)
	if s.src.Is4() {
		b[9] = s.proto
		checkHeader(b)
	} else {
		b[40] = s.proto
	}
	s.upper = b[len(b)-n:]
	f := newHeader(s, b, out)
	f.free = append(f.free, span{f.upper, len(b)})
	return f
}

// fill gives all free bytes random values.
func (f *form) fill(rnd *rand.PCG) {
	if f.whole != nil {
		f.whole.fill(rnd)
	}
	for _, s := range f.free {
		b := f.b[s.from:s.to]
		for ; len(b) >= 8; b = b[8:] {
			binary.BigEndian.PutUint64(b, rnd.Uint64())
		}
		for v := rnd.Uint64(); len(b) > 0; b, v = b[1:], v>>8 {
			b[0] = byte(v)
		}
	}
}

// put sets the addresses, computes every checksum, and returns the packet: it
// is valid until the next call.
func (f *form) put(ours, far []byte) []byte {
	src, dst := ours, far
	if !f.out {
		src, dst = far, ours
	}
	at := 12
	if f.v6 {
		at = 8
	}
	copy(f.b[at:], src)
	copy(f.b[at+len(src):], dst)
	if f.whole != nil {
		copy(f.b[f.at:f.at+f.n], f.whole.put(ours, far)[f.from:])
	}
	for _, s := range f.sums {
		f.b[s.at], f.b[s.at+1] = 0, 0
		v := words(f.b[s.over.from:s.over.to])
		if s.proto != 0 {
			v += words(src) + words(dst) + uint64(s.proto) + uint64(s.n)
		}
		for v > 0xffff {
			v = v>>16 + v&0xffff
		}
		c := ^uint16(v)
		switch s.proto {
		case packet.ProtoUDP, packet.ProtoUDPLite:
			f.zero = c == 0 && s.proto == packet.ProtoUDP
			if c == 0 {
				c = 0xffff
			}
		}
		if s.none && !f.mended {
			c = 0
		}
		binary.BigEndian.PutUint16(f.b[s.at:], c)
	}
	return f.b
}

// mirror swaps source and destination in b, a packet of f's form, and in the
// packet that it quotes: as if its receiver had sent it back. No checksum
// changes.
func (f *form) mirror(b []byte) {
	at, n := 12, 4
	if f.v6 {
		at, n = 8, 16
	}
	swap(b[at:at+n], b[at+n:at+2*n])
	if f.quote != 0 {
		at += f.quote
		swap(b[at:at+n], b[at+n:at+2*n])
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// words adds b's words of 16 bits (RFC 1071).
func words(b []byte) (sum uint64) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) > 0 {
		sum += uint64(b[0]) << 8
	}
	return sum
}
