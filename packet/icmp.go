package packet

import "encoding/binary"

// ICMPHeaderLen is the length of an ICMP error's header, in both families: the
// quoted packet starts at b[m.L4+ICMPHeaderLen].
const ICMPHeaderLen = 8

// ICMP errors of RFC 792.
const (
	icmpUnreachable  = 3
	icmpQuench       = 4 // deprecated: RFC 6633
	icmpRedirect     = 5
	icmpTimeExceeded = 11
	icmpParameter    = 12
)

// ICMPv6 messages of RFC 4443 and 4861.
const (
	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
	icmp6Info         = 128 // types below are errors
	icmp6Redirect     = 137
)

// icmpType returns the ICMP type of a whole packet or first fragment. b may be
// a truncated quote.
func icmpType(b []byte, m *Meta) (typ uint8, ok bool) {
	icmp := m.Version == 4 && m.Proto == ProtoICMP || m.Version == 6 && m.Proto == ProtoICMPv6
	if !icmp || m.FragOffset > 0 || m.L4 >= min(m.Len, len(b)) {
		return 0, false
	}
	return b[m.L4], true
}

// IsICMPError reports whether b is an error whose quoted packet Quoted can
// read: ICMP destination unreachable (3), time exceeded (11) and parameter
// problem (12), ICMPv6 types 1 to 4; whole or first fragment. Source quench
// (4, deprecated by RFC 6633) and redirects are not among them.
func IsICMPError(b []byte, m *Meta) bool {
	t, ok := icmpType(b, m)
	if !ok {
		return false
	}
	if m.Version == 6 {
		return icmp6Unreachable <= t && t <= icmp6Parameter
	}
	return t == icmpUnreachable || t == icmpTimeExceeded || t == icmpParameter
}

// QuotesPacket reports whether b is ICMP of a type that carries a part of
// another packet: what IsICMPError knows, source quench, redirects, and
// ICMPv6's unassigned errors. Such a packet that is not IsICMPError cannot be
// translated, and no error may answer any of them.
func QuotesPacket(b []byte, m *Meta) bool {
	t, ok := icmpType(b, m)
	if !ok {
		return false
	}
	if m.Version == 6 {
		return t < icmp6Info || t == icmp6Redirect
	}
	return t == icmpUnreachable || t == icmpQuench || t == icmpRedirect ||
		t == icmpTimeExceeded || t == icmpParameter
}

// PathMTU returns the MTU that an ICMP "fragmentation needed" (RFC 1191,
// section 4) or ICMPv6 "packet too big" (RFC 4443, section 3.2) reports; 0
// where an old router says none. ok is false for every other packet.
func PathMTU(b []byte, m *Meta) (mtu int, ok bool) {
	typ, is := icmpType(b, m)
	if !is || m.Len-m.L4 < ICMPHeaderLen {
		return 0, false
	}
	h := b[m.L4:]
	switch {
	case m.Version == 4 && typ == 3 && h[1] == 4:
		return int(binary.BigEndian.Uint16(h[6:])), true
	case m.Version == 6 && typ == 2:
		return int(min(binary.BigEndian.Uint32(h[4:]), 65535)), true
	}
	return 0, false
}
