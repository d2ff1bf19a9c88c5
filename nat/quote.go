package nat

import "multihop/packet"

// quote translates side s of the packet that the ICMP error b quotes, and
// updates the ICMP checksum for every byte that it changes there. Unless the
// verdict is OK it changes nothing.
func (r *Rewrite) quote(b []byte, m *packet.Meta, s side) packet.Verdict {
	var q packet.Meta
	if !packet.Quoted(b, m, &q) || s.of(&q) != r.from {
		return packet.Quote
	}
	d := b[m.L4+packet.ICMPHeaderLen : m.Len]
	d = d[:q.Len]
	if packet.QuotesPacket(d, &q) {
		return packet.Quote // an error about an error: nobody may send one
	}
	at, ok := quotedChecksum(&q, m.MF)
	if !ok {
		return packet.Quote
	}

	c := b[m.L4+2:]
	if m.Version == 4 {
		old := get(d[10:])
		r.header(d, &q, s)
		update(c, old, get(d[10:]))
	} else {
		r.header(d, &q, s)
	}
	r.delta.apply(c, m.Proto) // for the address
	if at != 0 {
		old := get(d[at:])
		r.delta.apply(d[at:], q.Proto)
		update(c, old, get(d[at:]))
	}
	return packet.OK
}

// quotedChecksum returns the offset of the upper-layer checksum in the packet
// that q describes, or 0 if none is quoted. It reports false if one is not all
// here, because the quote ends within it, or because more of the error follows
// in other fragments.
func quotedChecksum(q *packet.Meta, more bool) (at int, ok bool) {
	at = checksumAt(q)
	switch {
	case at == 0:
		return 0, !more || q.L4 < q.Len // with its header, its protocol may follow
	case at+2 <= q.Len:
		return at, true
	}
	return 0, !more && at+1 != q.Len
}

// update updates the checksum that c starts with for a word that changed.
func update(c []byte, old, new uint16) {
	if old != new { // else 0xffff would become 0
		put(c, packet.Update(get(c), old, new))
	}
}
