package packet

import "encoding/binary"

// Quoted parses the packet that the ICMP error b quotes, which is usually cut
// short. It reports false if b is no such error (see IsICMPError), or if the
// quote does not hold a plausible IP header of b's own version: then q is
// unspecified.
//
// q's offsets count from the quote, b[m.L4+ICMPHeaderLen:]. q.Len is the
// number of bytes quoted, not the length of the packet before it was cut.
// q.L4 may be at or past q.Len; ports and flags are 0 where they are not
// quoted. Where a chain of extension headers is cut, q.Proto is the header
// that is not all there.
func Quoted(b []byte, m *Meta, q *Meta) bool {
	if !IsICMPError(b, m) || m.L4+ICMPHeaderLen > m.Len {
		return false
	}
	d := quote(b, m)
	if m.Version == 6 {
		return q.quoted6(d)
	}
	return q.quoted4(d)
}

// quote returns the original datagram field of an error.
func quote(b []byte, m *Meta) []byte {
	h, d := b[m.L4:m.Len], b[m.L4+ICMPHeaderLen:m.Len]
	// RFC 4884: a length, where there is one, ends the field, and extensions
	// (MPLS labels, interfaces) follow. It covers 128 bytes at least: a
	// smaller one is an older sender's unused byte.
	n := 0
	switch {
	case m.Version == 4:
		n = int(h[5]) * 4
	case h[0] == icmp6Unreachable || h[0] == icmp6TimeExceeded:
		n = int(h[4]) * 8
	}
	if n >= 128 && n < len(d) {
		d = d[:n]
	}
	return d
}

func (q *Meta) quoted4(d []byte) bool {
	if len(d) < ipv4HeaderLen || d[0]>>4 != 4 {
		return false
	}
	q.header4(d)
	if q.L4 < ipv4HeaderLen || q.Len < q.L4 {
		return false
	}
	q.Len = min(q.Len, len(d))
	if q.L4 <= q.Len && options(d[ipv4HeaderLen:q.L4]) != OK {
		return false
	}
	q.quotedUpper(d)
	return q.Proto != ProtoAH
}

func (q *Meta) quoted6(d []byte) bool {
	if len(d) < ipv6HeaderLen || d[0]>>4 != 6 {
		return false
	}
	q.header6(d)
	n := min(q.Len, len(d))
	v, cut := q.extensions(d[:n])
	q.Len = n
	if v != OK || q.Proto == ProtoAH {
		return false
	}
	if !cut {
		q.quotedUpper(d)
	}
	return true
}

// quotedUpper reads what there is of ports and flags.
func (q *Meta) quotedUpper(d []byte) {
	if q.FragOffset > 0 || q.L4+4 > q.Len {
		return
	}
	h := d[q.L4:q.Len]
	switch q.Proto {
	case ProtoTCP:
		if len(h) > 13 {
			q.TCPFlags = h[13]
		}
	case ProtoUDP, ProtoUDPLite, ProtoDCCP, ProtoSCTP:
	default:
		return
	}
	q.SrcPort = binary.BigEndian.Uint16(h)
	q.DstPort = binary.BigEndian.Uint16(h[2:])
}
