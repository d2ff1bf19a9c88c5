package packet

import (
	"encoding/binary"
	"net/netip"
)

// Meta locates the parts of one IP packet. Parse fills it; its zero value
// describes no packet.
type Meta struct {
	Src, Dst netip.Addr // never with a zone; an IPv6 packet's may be IPv4-mapped

	Len int // bytes of the packet by its own header: b[:Len]; b may be longer
	L4  int // offset of the upper-layer header, or of the fragment's payload

	Version uint8 // 4 or 6
	Proto   uint8 // upper-layer protocol after extension headers; of a later IPv6 fragment, what its fragment header names

	DF         bool   // IPv4's don't-fragment bit
	MF         bool   // more fragments follow
	FragOffset int    // bytes; >0: not the first fragment. Atomic IPv6 fragments (RFC 6946) count as whole packets
	FragID     uint32 // identification: IPv4 always, IPv6 where there is a fragment header

	SrcPort, DstPort uint16 // TCP, UDP, UDP-Lite, DCCP, SCTP where the header is there (not in later fragments); else 0
	TCPFlags         uint8  // the header's byte 13
}

// Upper-layer protocols that this package and its callers tell apart.
const (
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoDCCP    = 33
	ProtoAH      = 51
	ProtoICMPv6  = 58
	ProtoSCTP    = 132
	ProtoUDPLite = 136
)

// FlagSYN is the bit of SYN in Meta.TCPFlags.
const FlagSYN = 0x02

// Parse reads the IP packet that b starts with. If the verdict is OK, then
// 20 <= m.L4 <= m.Len <= len(b), and a whole packet or first fragment holds
// the fixed upper-layer header (TCP: with its options) of every protocol that
// this package names. Otherwise m is unspecified.
//
// Parse keeps no reference to b.
func (m *Meta) Parse(b []byte) Verdict {
	if len(b) == 0 {
		return Malformed
	}
	switch b[0] >> 4 {
	case 4:
		return m.parse4(b)
	case 6:
		return m.parse6(b)
	}
	return Malformed
}

// IsFragment reports whether the packet is a part of a larger one.
func (m *Meta) IsFragment() bool { return m.MF || m.FragOffset > 0 }

// finish judges the packet b, cut to Len, once the IP header and the extension
// headers are read.
func (m *Meta) finish(b []byte) Verdict {
	switch {
	case m.Proto == ProtoAH:
		return AH
	case m.FragOffset > 0, m.upper(b[m.L4:]):
		return OK
	case m.MF:
		return ShortFragment
	}
	return Malformed
}

// upper reads ports and flags from the upper-layer header h, and reports
// whether all of the header is there.
func (m *Meta) upper(h []byte) bool {
	need := 8
	switch m.Proto {
	case ProtoTCP:
		if len(h) < 20 {
			return false
		}
		m.TCPFlags = h[13]
		need = int(h[12]>>4) * 4
		if need < 20 {
			return false
		}
	case ProtoUDP, ProtoUDPLite:
	case ProtoDCCP, ProtoSCTP:
		need = 12
	case ProtoICMP:
		return m.Version != 4 || len(h) >= ICMPHeaderLen
	case ProtoICMPv6:
		return m.Version != 6 || len(h) >= ICMPHeaderLen
	default:
		return true
	}
	if len(h) < need {
		return false
	}
	m.SrcPort = binary.BigEndian.Uint16(h)
	m.DstPort = binary.BigEndian.Uint16(h[2:])
	return true
}

// validFragment checks a fragment whose payload has n bytes, of a packet whose
// payload has limit at most: all but the last are multiples of 8 long (RFC
// 791; RFC 8200, section 4.5).
func (m *Meta) validFragment(n, limit int) bool {
	return (!m.MF || n%8 == 0) && m.FragOffset+n <= limit
}
