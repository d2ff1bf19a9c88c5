package packet

import (
	"encoding/binary"
	"net/netip"
)

// An ICMPKind is the error that PutICMPError writes.
type ICMPKind uint8

const (
	AdminProhibited ICMPKind = iota // ICMP 3/13, ICMPv6 1/1
	NoRoute                         // ICMP 3/0, ICMPv6 1/0
	TooBig                          // ICMP 3/4, ICMPv6 2/0, with the MTU
)

// Longest errors.
const (
	maxICMPv4 = 576  // RFC 1812, section 4.3.2.3
	maxICMPv6 = 1280 // RFC 4443, section 2.4 (c)
)

// tosNetworkControl is what RFC 1812, section 4.3.2.5, asks of ICMP errors.
const tosNetworkControl = 0xc0

// PutICMPError writes to dst the error that answers the packet orig: from
// orig's destination, so that the receiver's reverse-path filter lets it in,
// to its source. It quotes as much of orig as 576 (IPv4) or 1280 bytes (IPv6)
// and dst hold. mtu counts for TooBig only.
//
// PutICMPError returns the error's length, or 0 where none may be sent (RFC
// 1122, section 3.2.2; RFC 1812, section 4.3.2.7; RFC 4443, section 2.4 (e)):
// about ICMP errors and redirects, about later fragments, and where either
// address is not one host's. It also returns 0 if dst is too short to quote
// the IP header and 8 bytes more. dst and orig must not overlap.
func PutICMPError(dst, orig []byte, m *Meta, kind ICMPKind, mtu int) int {
	if m.FragOffset > 0 || QuotesPacket(orig, m) || !isHost(m.Src) || !isHost(m.Dst) {
		return 0
	}
	head, limit := ipv4HeaderLen, maxICMPv4
	if m.Version == 6 {
		head, limit = ipv6HeaderLen, maxICMPv6
	}
	limit = min(limit, len(dst))
	head += ICMPHeaderLen
	if limit < head+min(m.Len, m.L4+8) {
		return 0
	}
	n := head + copy(dst[head:limit], orig[:m.Len])
	dst = dst[:n]

	if m.Version == 6 {
		putIPv6(dst, m.Dst, m.Src, ProtoICMPv6)
		h := dst[ipv6HeaderLen:]
		h[0], h[1] = kind.type6()
		putICMP(h, kind, mtu, pseudo(dst[8:40], ProtoICMPv6, len(h)))
		return n
	}
	putIPv4(dst, m.Dst, m.Src, ProtoICMP, tosNetworkControl, 0, ipv4DF)
	h := dst[ipv4HeaderLen:]
	h[0], h[1] = kind.type4()
	putICMP(h, kind, min(mtu, 65535), 0)
	return n
}

// putICMP completes the message h, whose type and code are set: rest of the
// header and checksum, from the partial sum acc on.
func putICMP(h []byte, kind ICMPKind, mtu int, acc uint32) {
	if kind != TooBig {
		mtu = 0
	}
	// IPv4 has the MTU in the last 16 bits (RFC 1191), IPv6 in all 32.
	binary.BigEndian.PutUint32(h[4:], uint32(max(mtu, 0)))
	h[2], h[3] = 0, 0
	binary.BigEndian.PutUint16(h[2:], ^Fold(Sum(h, acc)))
}

func (k ICMPKind) type4() (typ, code uint8) {
	switch k {
	case NoRoute:
		return icmpUnreachable, 0
	case TooBig:
		return icmpUnreachable, 4
	}
	return icmpUnreachable, 13
}

func (k ICMPKind) type6() (typ, code uint8) {
	switch k {
	case NoRoute:
		return icmp6Unreachable, 0
	case TooBig:
		return icmp6TooBig, 0
	}
	return icmp6Unreachable, 1
}

// isHost reports whether a can be the address of one host beyond this one: not
// unspecified, loopback, multicast, nor IPv4's class E with the broadcast
// address.
func isHost(a netip.Addr) bool {
	if a.Is4() {
		first := a.As4()[0]
		return first != 0 && first != 127 && first < 224
	}
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}
