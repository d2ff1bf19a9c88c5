package nat

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"multihop/packet"
)

// The oracle of this package's tests: build makes a packet from its parts and
// computes every checksum over all of its bytes. A translated packet must
// equal the one that build makes with the other address.

// A spec is what build makes a packet from.
type spec struct {
	src, dst netip.Addr
	proto    uint8
	options  []byte // IPv4, padded
	exts     []ext  // IPv6
	upper    []byte // header and payload; the checksum in it is overwritten
	noCheck  bool   // UDP over IPv4 without a checksum
}

// An ext is an IPv6 extension header; its first byte is overwritten.
type ext struct {
	proto uint8
	bytes []byte
}

func naiveSum(pieces ...[]byte) uint16 {
	var sum uint64
	for _, b := range pieces {
		for i := 0; i < len(b); i += 2 {
			w := uint64(b[i]) << 8
			if i+1 < len(b) {
				w |= uint64(b[i+1])
			}
			sum += w
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pseudo is the pseudo-header of n bytes of an upper layer. IPv4's has other
// places for the same words.
func pseudo(src, dst netip.Addr, proto uint8, n int) []byte {
	b := slices.Concat(src.AsSlice(), dst.AsSlice())
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, 0, 0, 0, proto)
}

func (s spec) build() []byte {
	upper := s.checked()
	if s.src.Is4() {
		b := make([]byte, 20, 20+len(s.options)+len(upper))
		b[0] = 0x40 | byte(20+len(s.options))/4
		b[4], b[5], b[8], b[9] = 0x12, 0x34, 61, s.proto
		copy(b[12:], s.src.AsSlice())
		copy(b[16:], s.dst.AsSlice())
		b = slices.Concat(b, s.options, upper)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		checkHeader(b)
		return b
	}
	b := make([]byte, 40)
	b[0], b[7] = 0x60, 61
	copy(b[8:], s.src.AsSlice())
	copy(b[24:], s.dst.AsSlice())
	next := 6 // where the next header's number goes
	for _, e := range s.exts {
		b[next] = e.proto
		next = len(b)
		b = append(b, e.bytes...)
	}
	b[next] = s.proto
	b = append(b, upper...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// checkHeader fills the checksum of the IPv4 header that b starts with.
func checkHeader(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^naiveSum(b[:int(b[0]&15)*4]))
}

// checked returns the upper layer with its checksum.
func (s spec) checked() []byte {
	b := slices.Clone(s.upper)
	at, ph := 0, pseudo(s.src, s.dst, s.proto, len(b))
	cover := len(b)
	switch {
	case s.proto == packet.ProtoTCP:
		at = 16
	case s.proto == packet.ProtoUDP, s.proto == packet.ProtoDCCP:
		at = 6
	case s.proto == packet.ProtoUDPLite:
		at = 6
		if n := int(binary.BigEndian.Uint16(b[4:])); n != 0 {
			cover = n // RFC 3828
		}
	case s.proto == packet.ProtoICMP && s.src.Is4():
		at, ph = 2, nil
	case s.proto == packet.ProtoICMPv6 && s.src.Is6():
		at = 2
	default:
		return b
	}
	b[at], b[at+1] = 0, 0
	if s.noCheck {
		return b
	}
	sum := ^naiveSum(ph, b[:cover])
	if sum == 0 && (s.proto == packet.ProtoUDP || s.proto == packet.ProtoUDPLite) {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], sum)
	return b
}

// fragment returns the bytes from to to of the payload of the packet b, a
// multiple of 8 unless the last, as a fragment.
func fragment(b []byte, from, to int) []byte {
	if b[0]>>4 == 4 {
		ihl := int(b[0]&15) * 4
		to = min(to, len(b)-ihl)
		f := slices.Concat(b[:ihl], b[ihl+from:ihl+to])
		word := uint16(from / 8)
		if ihl+to < len(b) {
			word |= 0x2000
		}
		binary.BigEndian.PutUint16(f[6:], word)
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		checkHeader(f)
		return f
	}
	to = min(to, len(b)-40)
	word := uint16(from)
	if 40+to < len(b) {
		word |= 1
	}
	h := []byte{b[6], 0, byte(word >> 8), byte(word), 0xde, 0xad, 0xbe, 0xef}
	f := slices.Concat(b[:40], h, b[40+from:40+to])
	f[6] = 44
	binary.BigEndian.PutUint16(f[4:], uint16(len(f)-40))
	return f
}

// random returns a spec between ours and other, from ours if out: the same
// whatever ours is, for an equal seed. If errors, it may be an ICMP error that
// quotes a packet of the other direction.
func random(seed uint64, ours, other netip.Addr, out, errors bool) spec {
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := spec{src: ours, dst: other}
	if !out {
		s.src, s.dst = other, ours
	}
	v6 := ours.Is6()
	if rnd.IntN(3) == 0 {
		if v6 {
			s.exts = randomExts(rnd)
		} else {
			s.options = randomOptions(rnd)
		}
	}

	protos := []uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoDCCP, packet.ProtoSCTP,
		packet.ProtoICMP, packet.ProtoICMPv6, 47, 50, 200}
	s.proto = protos[rnd.IntN(len(protos))]
	s.upper = make([]byte, 20+rnd.IntN(100))
	for i := range s.upper {
		s.upper[i] = byte(rnd.Uint32())
	}
	switch s.proto {
	case packet.ProtoTCP:
		s.upper[12] = 5 << 4
	case packet.ProtoUDP:
		binary.BigEndian.PutUint16(s.upper[4:], uint16(len(s.upper)))
		s.noCheck = !v6 && rnd.IntN(4) == 0
	case packet.ProtoUDPLite:
		cover := []int{0, 8, 13, len(s.upper)}[rnd.IntN(4)]
		binary.BigEndian.PutUint16(s.upper[4:], uint16(cover))
	case packet.ProtoICMP:
		s.upper[0] = 8
	case packet.ProtoICMPv6:
		s.upper[0] = 128
	}
	if !errors || rnd.IntN(3) != 0 {
		return s
	}

	s.noCheck = false
	types := []byte{3, 11, 12}
	s.proto = packet.ProtoICMP
	if v6 {
		types = []byte{1, 2, 3, 4}
		s.proto = packet.ProtoICMPv6
	}
	head := []byte{types[rnd.IntN(len(types))], 0, 0, 0, 0, 0, byte(rnd.Uint32()), byte(rnd.Uint32())}
	quote := random(rnd.Uint64(), ours, other, !out, false).build()
	least := 20
	if v6 {
		least = 40
	}
	quote = quote[:least+rnd.IntN(len(quote)-least+1)]
	s.upper = append(head, quote...)
	return s
}

// randomOptions is a record route with one address, or nothing that matters.
func randomOptions(rnd *rand.Rand) []byte {
	if rnd.IntN(2) == 0 {
		return []byte{1, 7, 7, 8, 192, 0, 2, 200}
	}
	return []byte{0x94, 4, 0, 0} // router alert
}

func randomExts(rnd *rand.Rand) []ext {
	all := []ext{
		{0, []byte{0, 0, 5, 2, 0, 0, 1, 0}},                  // hop-by-hop: router alert
		{60, []byte{0, 1, 1, 12, 15: 0}},                     // destination options: PadN
		{43, []byte{0, 2, 4, 0, 0, 0, 0, 0, 0x20, 1, 23: 7}}, // routing: no segments left
		{44, []byte{0, 0, 0, 0, 0, 0, 0, 9}},                 // fragment: atomic
	}
	return slices.DeleteFunc(all, func(ext) bool { return rnd.IntN(2) == 0 })
}
