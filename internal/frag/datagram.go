package frag

import (
	"bytes"
	"encoding/binary"

	"multihop/packet"
)

// maxFragments bounds the fragments of one packet, and with them the time that
// a fragment costs. The longest packet over an MTU of 576 has 119.
const maxFragments = 128

// A span is the data that a held fragment covers, from off to end.
type span struct{ off, end uint16 }

// A datagram is a packet of which fragments are missing, or, where one of them
// contradicted the others, the memory of that.
type datagram struct {
	key          key
	born         int64 // ns
	older, newer *datagram
	dropped      Verdict // not Held: why all of its fragments are dropped

	buf   []byte // head bytes for the header, then data; with gaps
	head  int    // of the first fragment, or the guess of a later one
	end   int    // of the data so far
	total int    // length of all data; 0: unknown, the last fragment is missing
	got   int    // bytes of data held

	n     int // fragments held
	spans [maxFragments]span
}

// headWith is what head will be once p is there.
func (d *datagram) headWith(p *piece) int {
	if d.n == 0 || p.off == 0 {
		return len(p.head)
	}
	return d.head
}

// judge says what becomes of p: Held, Duplicate, or why the packet as a whole
// must be dropped.
func (d *datagram) judge(p *piece) Verdict {
	end := p.end()
	switch {
	case d.total == 0 && !p.more && end <= d.end,
		d.total > 0 && !p.more && end != d.total,
		d.total > 0 && p.more && end >= d.total:
		return Malformed
	case d.headWith(p)+max(d.end, end) > d.key.limit():
		return TooBig
	}
	for _, s := range d.spans[:d.n] {
		switch {
		case end <= int(s.off) || int(s.end) <= p.off:
			continue
		case p.off == int(s.off) && end == int(s.end) && bytes.Equal(p.data, d.buf[d.head+p.off:d.head+end]):
			return Duplicate
		}
		return Overlap
	}
	if d.n == maxFragments {
		return Full
	}
	return Held
}

// put stores p, which judge let pass. d.buf has room for it.
func (d *datagram) put(p *piece) {
	if head := d.headWith(p); head != d.head {
		copy(d.buf[head:], d.buf[d.head:d.head+d.end])
		d.head = head
	}
	if p.off == 0 {
		copy(d.buf, p.head)
		if p.key.version == 6 {
			d.buf[p.nextAt] = p.next
		}
	}
	end := p.end()
	copy(d.buf[d.head+p.off:], p.data)
	d.spans[d.n] = span{uint16(p.off), uint16(end)}
	d.n++
	d.got += len(p.data)
	d.end = max(d.end, end)
	if !p.more {
		d.total = end
	}
}

// complete reports whether no fragment is missing. As none overlap, to count
// bytes is enough.
func (d *datagram) complete() bool { return d.got == d.total }

// whole makes the packet of a complete datagram.
func (d *datagram) whole() []byte {
	b := d.buf[:d.head+d.total]
	if d.key.version == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6HeaderLen))
		return b
	}
	setIPv4(b, d.head, binary.BigEndian.Uint16(b[6:])&^ipv4MF) // the first's offset is 0
	return b
}

const (
	ipv4MF      = 0x2000
	ipv4FragOff = 0x1fff // in units of 8 bytes
)

// setIPv4 writes what a fragment has of its own to the header, of head bytes,
// of the packet b, all of it.
func setIPv4(b []byte, head int, frag uint16) {
	b[0] = 4<<4 | byte(head/4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], frag)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:head], 0)))
}
