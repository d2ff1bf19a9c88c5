package packet

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4HeaderLen = 20

	ipv4DF      = 0x4000
	ipv4MF      = 0x2000
	ipv4FragOff = 0x1fff // in units of 8 bytes
)

// Options of RFC 791.
const (
	optEnd  = 0
	optNop  = 1
	optLSRR = 131 // loose source and record route
	optSSRR = 137 // strict source and record route
)

func (m *Meta) parse4(b []byte) Verdict {
	if len(b) < ipv4HeaderLen {
		return Malformed
	}
	m.header4(b)
	if m.L4 < ipv4HeaderLen || m.Len < m.L4 || m.Len > len(b) {
		return Malformed
	}
	if m.L4 > ipv4HeaderLen {
		if v := options(b[ipv4HeaderLen:m.L4]); v != OK {
			return v
		}
	}
	if m.IsFragment() && !m.validFragment(m.Len-m.L4, 65535-m.L4) {
		return Malformed
	}
	return m.finish(b[:m.Len])
}

// header4 reads the fixed header, of which b must hold all, and believes it.
func (m *Meta) header4(b []byte) {
	// Field by field: a literal is built aside and copied, at twice the cost.
	b = b[:ipv4HeaderLen]
	m.Src = netip.AddrFrom4([4]byte(b[12:16]))
	m.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	m.Len = int(binary.BigEndian.Uint16(b[2:]))
	m.L4 = int(b[0]&0x0f) * 4
	m.Version = 4
	m.Proto = b[9]
	frag := binary.BigEndian.Uint16(b[6:])
	m.DF = frag&ipv4DF != 0
	m.MF = frag&ipv4MF != 0
	m.FragOffset = int(frag&ipv4FragOff) * 8
	m.FragID = uint32(binary.BigEndian.Uint16(b[4:]))
	m.SrcPort, m.DstPort, m.TCPFlags = 0, 0, 0
}

// options walks the options o of an IPv4 header.
func options(o []byte) Verdict {
	for len(o) > 0 {
		switch o[0] {
		case optEnd:
			return OK
		case optNop:
			o = o[1:]
			continue
		case optLSRR, optSSRR:
			return SourceRoute
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return Malformed
		}
		o = o[o[1]:]
	}
	return OK
}
