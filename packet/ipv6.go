package packet

import (
	"encoding/binary"
	"net/netip"
)

const ipv6HeaderLen = 40

// Extension headers of RFC 8200. ESP, "no next header" and every number not
// listed end the walk as an upper-layer protocol.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

// maxExtensions bounds the walk: RFC 8200, section 4.1, recommends an order
// with six headers, of which we know five.
const maxExtensions = 8

func (m *Meta) parse6(b []byte) Verdict {
	if len(b) < ipv6HeaderLen {
		return Malformed
	}
	m.header6(b)
	if m.Len > len(b) {
		return Malformed
	}
	b = b[:m.Len]
	v, cut := m.extensions(b)
	switch {
	case v != OK:
		return v
	case cut && m.MF:
		return ShortFragment // RFC 7112
	case cut:
		return Malformed
	}
	return m.finish(b)
}

// header6 reads the fixed header, of which b must hold all, and believes it.
// Proto is the first next header, which extensions replaces.
func (m *Meta) header6(b []byte) {
	b = b[:ipv6HeaderLen]
	m.Src = netip.AddrFrom16([16]byte(b[8:24]))
	m.Dst = netip.AddrFrom16([16]byte(b[24:40]))
	m.Len = ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	m.L4 = ipv6HeaderLen
	m.Version = 6
	m.Proto = b[6]
	m.DF, m.MF, m.FragOffset, m.FragID = false, false, 0, 0
	m.SrcPort, m.DstPort, m.TCPFlags = 0, 0, 0
}

// extensions walks the extension headers of b, which m.Len may exceed (a cut
// quote), from m.L4 and m.Proto on, and leaves both at the upper-layer header,
// or at the payload of a later fragment. It reports cut if the chain runs past the end of b: then m.Proto
// and m.L4 name the header that is not all there, and m.L4 may be past b.
func (m *Meta) extensions(b []byte) (v Verdict, cut bool) {
	fragmented := false
	for range maxExtensions + 1 {
		switch m.Proto {
		case extHopByHop, extRouting, extFragment, extDestination:
		default:
			return OK, m.L4 > len(b)
		}
		if m.L4+8 > len(b) {
			return OK, true
		}
		h := b[m.L4:]
		n := 8 + 8*int(h[1])

		switch m.Proto {
		case extHopByHop:
			if m.L4 != ipv6HeaderLen { // RFC 8200: only directly after the IPv6 header
				return Extension, false
			}
		case extRouting:
			if h[3] != 0 { // segments left: the destination is not the last one
				return Extension, false
			}
		case extFragment:
			if fragmented {
				return Extension, false
			}
			fragmented = true
			n = 8 // its second byte is reserved
			m.setFragment(h)
			if m.IsFragment() && !m.validFragment(m.Len-m.L4-n, 65535) {
				return Malformed, false
			}
		}
		m.Proto = h[0]
		m.L4 += n
		if m.FragOffset > 0 {
			return OK, false
		}
	}
	return Extension, false
}

// setFragment reads the fragment header h.
func (m *Meta) setFragment(h []byte) {
	off := binary.BigEndian.Uint16(h[2:])
	m.FragOffset = int(off &^ 7)
	m.MF = off&1 != 0
	m.FragID = binary.BigEndian.Uint32(h[4:])
}
