package frag

import "multihop/packet"

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	fragHeaderLen = 8 // IPv6's fragment header

	// Longest packets: IPv4's length counts the header, IPv6's does not.
	maxIPv4 = 65535
	maxIPv6 = ipv6HeaderLen + 65535
)

// Extension headers of RFC 8200.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

// A key names the packet that a fragment is a part of: RFC 791, section 3.2;
// RFC 8200, section 4.5. IPv4 addresses are mapped into IPv6.
type key struct {
	src, dst [16]byte
	id       uint32
	version  uint8
	proto    uint8 // IPv4 only: RFC 8200 leaves it out
}

// A piece is one fragment, as far as reassembly is concerned. Its slices are
// parts of the packet.
type piece struct {
	key  key
	head []byte // IP header, and extension headers in front of the fragment header
	data []byte
	off  int // of data in its packet's data
	more bool

	nextAt int   // IPv6: where in head the next header is named
	next   uint8 // IPv6: its name once the fragment header is gone
}

// parse reads the fragment pkt. It returns Held if p can be a part of a packet.
func (p *piece) parse(pkt []byte, m *packet.Meta) Verdict {
	p.key = key{src: m.Src.As16(), dst: m.Dst.As16(), id: m.FragID, version: m.Version}
	p.off, p.more = m.FragOffset, m.MF
	if m.Version == 4 {
		p.key.proto = m.Proto
		p.head, p.data = pkt[:m.L4], pkt[m.L4:m.Len]
	} else {
		at, nextAt, ok := fragmentHeader(pkt[:m.Len])
		if !ok {
			return Malformed
		}
		p.head, p.data = pkt[:at], pkt[at+fragHeaderLen:m.Len]
		p.nextAt, p.next = nextAt, pkt[at]
	}

	upper := headerLen(m.Proto)
	switch {
	case len(p.data) == 0 || p.more && len(p.data)%8 != 0:
		return Malformed
	case p.off == 0 && m.Len-m.L4 < upper, 0 < p.off && p.off < upper:
		return Tiny
	case len(p.head)+p.end() > p.key.limit():
		return TooBig
	}
	return Held
}

// end is the offset behind the piece's last byte.
func (p *piece) end() int { return p.off + len(p.data) }

// limit is the length of the longest packet.
func (k *key) limit() int {
	if k.version == 4 {
		return maxIPv4
	}
	return maxIPv6
}

// fragmentHeader finds the fragment header of the IPv6 packet b, and the byte
// that names it in the header before.
func fragmentHeader(b []byte) (at, nextAt int, ok bool) {
	at, nextAt = ipv6HeaderLen, 6
	for at+fragHeaderLen <= len(b) {
		switch b[nextAt] {
		case extFragment:
			return at, nextAt, true
		case extHopByHop, extRouting, extDestination:
			at, nextAt = at+8+8*int(b[at+1]), at
		default:
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// headerLen is the length that the header of an upper-layer protocol has at
// least: RFC 1858, section 4.2, for all protocols. No fragment may end or
// begin inside it.
func headerLen(proto uint8) int {
	switch proto {
	case packet.ProtoTCP:
		return 20
	case packet.ProtoDCCP, packet.ProtoSCTP:
		return 12
	case packet.ProtoUDP, packet.ProtoUDPLite:
		return 8
	}
	return 0
}
