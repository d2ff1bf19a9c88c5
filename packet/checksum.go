package packet

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit big-endian words of b to the partial sum acc (RFC 1071).
// An odd last byte counts as the high half of a word, so only the last of
// several pieces may have an odd length. Carries are kept: a result is a valid
// acc however many pieces went into it. Fold completes it.
func Sum(b []byte, acc uint32) uint32 {
	// One's complement sums do not depend on the byte order (RFC 1071,
	// section 2 B): add native words of 8 bytes, swap the 16-bit result once.
	ne := binary.NativeEndian
	var s, c uint64
	for len(b) >= 64 {
		s, c = bits.Add64(s, ne.Uint64(b[0:8]), 0)
		s, c = bits.Add64(s, ne.Uint64(b[8:16]), c)
		s, c = bits.Add64(s, ne.Uint64(b[16:24]), c)
		s, c = bits.Add64(s, ne.Uint64(b[24:32]), c)
		s, c = bits.Add64(s, ne.Uint64(b[32:40]), c)
		s, c = bits.Add64(s, ne.Uint64(b[40:48]), c)
		s, c = bits.Add64(s, ne.Uint64(b[48:56]), c)
		s, c = bits.Add64(s, ne.Uint64(b[56:64]), c)
		s += c // cannot overflow: a sum that carried is at most 2^64-2
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, ne.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		s, c = bits.Add64(s, ne.Uint64(last[:]), 0)
		s += c
	}

	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	var word [2]byte
	ne.PutUint16(word[:], Fold(uint32(s)))

	t := uint64(acc) + uint64(binary.BigEndian.Uint16(word[:]))
	return uint32(t>>32 + t&0xffffffff)
}

// Fold reduces a partial sum to 16 bits. The checksum is its complement.
func Fold(acc uint32) uint16 {
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc)
}

// Update returns the checksum after the 16-bit word old, at an even offset of
// what it covers, became new (RFC 1624). A checksum that was wrong stays as
// wrong. Of the two spellings of zero, the result is never 0xffff unless the
// operands leave the sum empty; UDP, which reserves 0, is the caller's care.
func Update(check, old, new uint16) uint16 {
	// RFC 1624, Eqn. 3: HC' = ~(~HC + ~m + m')
	return ^Fold(uint32(^check) + uint32(^old) + uint32(new))
}

// pseudo returns the partial sum of the pseudo-header of RFC 768, 9293 and
// 8200: addrs are the source and destination address as they stand in the
// header, n the length of the upper-layer packet.
func pseudo(addrs []byte, proto uint8, n int) uint32 {
	return Sum(addrs, uint32(proto)+uint32(n))
}
