package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

const (
	udpHeaderLen = 8

	defaultTTL = 64 // RFC 1700; also the IPv6 hop limit
)

// UDPOverhead returns the bytes that PutUDP writes in front of a payload to
// dst: 28 for IPv4, 48 for IPv6.
func UDPOverhead(dst netip.Addr) int {
	if dst.Is4() {
		return ipv4HeaderLen + udpHeaderLen
	}
	return ipv6HeaderLen + udpHeaderLen
}

// PutUDP writes the IP and UDP headers in front of the payload of n bytes that
// is already at b[UDPOverhead(dst.Addr()):], and returns the packet's length,
// or 0 if b is too short or no packet can be so long. The UDP checksum is
// filled, on IPv4 too: receivers do not coalesce datagrams without one.
//
// df sets IPv4's don't-fragment bit with an identification of 0 (RFC 6864);
// without it the identification is random. IPv6 has no such choice. Both
// addresses are of one family, IPv4 ones not mapped into IPv6.
func PutUDP(b []byte, src, dst netip.AddrPort, n int, df bool) int {
	head := UDPOverhead(dst.Addr())
	limit := 65535
	if !dst.Addr().Is4() {
		limit += ipv6HeaderLen // its length counts the payload only
	}
	total := head + n
	if n < 0 || total > min(limit, len(b)) {
		return 0
	}
	b = b[:total]

	var addrs []byte
	if dst.Addr().Is4() {
		flags, id := uint16(ipv4DF), uint16(0)
		if !df {
			flags, id = 0, uint16(rand.Uint32())
		}
		putIPv4(b, src.Addr(), dst.Addr(), ProtoUDP, 0, id, flags)
		addrs = b[12:20]
	} else {
		putIPv6(b, src.Addr(), dst.Addr(), ProtoUDP)
		addrs = b[8:40]
	}

	u := b[head-udpHeaderLen:]
	binary.BigEndian.PutUint16(u[0:], src.Port())
	binary.BigEndian.PutUint16(u[2:], dst.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	u[6], u[7] = 0, 0
	check := ^Fold(Sum(u, pseudo(addrs, ProtoUDP, len(u))))
	if check == 0 {
		check = 0xffff // RFC 768: 0 means no checksum
	}
	binary.BigEndian.PutUint16(u[6:], check)
	return total
}

// UDPPayload returns the payload of the whole UDP packet b, bounded by UDP's
// own length. It reports false for other packets, fragments, and a UDP length
// that contradicts IP's. The payload is a part of b.
func UDPPayload(b []byte, m *Meta) ([]byte, bool) {
	if m.Proto != ProtoUDP || m.IsFragment() {
		return nil, false
	}
	u := b[m.L4:m.Len]
	n := int(binary.BigEndian.Uint16(u[4:]))
	if n < udpHeaderLen || n > len(u) {
		return nil, false
	}
	return u[udpHeaderLen:n:n], true
}
