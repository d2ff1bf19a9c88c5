package nat

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"multihop/packet"
)

// randomForm returns the form of a whole packet, a fragment, an error, or the
// first fragment of one.
func randomForm(rnd *rand.Rand, v6 bool) *form {
	out := rnd.IntN(2) == 0
	switch rnd.IntN(6) {
	case 0, 1:
		return newForm(randomSpec(rnd, v6), out)
	case 2:
		return randomFragment(rnd, v6, out)
	}

	q := newForm(randomSpec(rnd, v6), !out)
	if rnd.IntN(4) == 0 {
		q = randomFragment(rnd, v6, !out)
	}
	typ, least := []byte{3, 11, 12}[rnd.IntN(3)], 20
	if v6 {
		typ, least = byte(1+rnd.IntN(4)), 40
	}
	n := len(q.b)
	if rnd.IntN(3) != 0 {
		n = least + rnd.IntN(n-least+1)
	}
	s := randomHeader(rnd, v6)
	if rnd.IntN(5) != 0 {
		return newError(s, typ, q, n)
	}
	s = unfragmented(s)
	e := newError(s, typ, q, n)
	// What of the quote must be in the first fragment: all that a translation
	// changes, or may, the last of which is TCP's checksum.
	need := e.at - start(e, s) + max(q.upper, q.check) + 18
	if n := roundUp(need); n < len(e.b)-start(e, s) {
		return newFirst(s, e, n)
	}
	return e
}

// randomFragment returns the form of a first or later fragment.
func randomFragment(rnd *rand.Rand, v6, out bool) *form {
	s := unfragmented(randomSpec(rnd, v6))
	if rnd.IntN(2) == 0 {
		return newLater(s, 8+8*rnd.IntN(180), 1+rnd.IntN(64), out)
	}
	w := newForm(s, out)
	need := w.upper - start(w, s) + 20 // no header is longer
	n := roundUp(need + rnd.IntN(24))
	if n >= len(w.b)-start(w, s) {
		s.upper = append(s.upper, make([]byte, n)...)
		if s.proto == packet.ProtoUDP {
			binary.BigEndian.PutUint16(s.upper[4:], uint16(len(s.upper)))
		}
		w = newForm(s, out)
	}
	return newFirst(s, w, n)
}

// start returns where the part of f that fragment splits starts.
func start(f *form, s spec) int {
	if f.v6 {
		return 40
	}
	return 20 + len(s.options)
}

func roundUp(n int) int { return (n + 7) &^ 7 }

// unfragmented returns s without the extension headers that a fragment cannot
// have behind its own fragment header.
func unfragmented(s spec) spec {
	s.exts = slices.DeleteFunc(s.exts, func(e ext) bool { return e.proto == 0 || e.proto == 44 })
	return s
}

// randomHeader returns a spec with options or extension headers, or without.
func randomHeader(rnd *rand.Rand, v6 bool) spec {
	s := spec{src: tun4, dst: far4}
	if v6 {
		s = spec{src: tun6, dst: far6}
	}
	switch {
	case rnd.IntN(2) == 0:
	case v6:
		s.exts = randomExts(rnd)
	default:
		s.options = randomOptions(rnd)
	}
	return s
}

// randomSpec returns a packet that quotes none.
func randomSpec(rnd *rand.Rand, v6 bool) spec {
	s := randomHeader(rnd, v6)
	protos := []uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoDCCP, packet.ProtoICMP,
		packet.ProtoICMPv6, packet.ProtoSCTP, 47, 50, 200}
	s.proto = protos[rnd.IntN(len(protos))]
	s.upper = make([]byte, 20+rnd.IntN(60))
	switch s.proto {
	case packet.ProtoTCP:
		s.upper[12] = 5 << 4
	case packet.ProtoUDP:
		s.upper = s.upper[:8+rnd.IntN(len(s.upper)-8)]
		binary.BigEndian.PutUint16(s.upper[4:], uint16(len(s.upper)))
		s.noCheck = rnd.IntN(4) == 0
	case packet.ProtoUDPLite:
		cover := []int{0, 8, 13, len(s.upper)}[rnd.IntN(4)]
		binary.BigEndian.PutUint16(s.upper[4:], uint16(cover))
	case packet.ProtoDCCP:
		s.upper[4] = 4 // header of 16 bytes; checksum coverage 0: everything
	case packet.ProtoICMP:
		s.upper[0] = []byte{0, 8, 13}[rnd.IntN(3)]
	case packet.ProtoICMPv6:
		s.upper[0] = []byte{128, 129, 133, 134, 135, 136, 143}[rnd.IntN(7)]
	}
	return s
}
