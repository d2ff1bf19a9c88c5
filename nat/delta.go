package nat

import (
	"net/netip"

	"multihop/packet"
)

// A delta is what a change of address adds to the one's complement sum that a
// checksum is the complement of: ~m + m' of RFC 1624, Eqn. 3, over all words
// of the address. It is never 0xffff: where nothing changes it is 0, so that
// every checksum stays as it is, byte for byte.
type delta uint16

func newDelta(from, to netip.Addr) delta {
	// Both as 16 bytes: the words that an IPv4 address has in front are the
	// same in both and cancel.
	f, t := from.As16(), to.As16()
	for i := range f {
		f[i] = ^f[i]
	}
	d := packet.Fold(packet.Sum(t[:], packet.Sum(f[:], 0)))
	if d == 0xffff {
		return 0
	}
	return delta(d)
}

// apply updates the checksum that c starts with, of the upper-layer protocol
// proto, or of an IPv4 header if that is 0.
func (d delta) apply(c []byte, proto uint8) {
	old := get(c)
	udp := proto == packet.ProtoUDP || proto == packet.ProtoUDPLite
	if udp && old == 0 {
		return // no checksum (RFC 768, RFC 6935); UDP-Lite: invalid, and stays so
	}
	// RFC 1624, Eqn. 3
	sum := ^packet.Fold(uint32(^old) + uint32(d))
	if udp && sum == 0 {
		sum = 0xffff
	}
	put(c, sum)
}
