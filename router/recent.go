package router

import (
	"encoding/binary"
	"net/netip"
)

// recentBits says how many destinations are remembered, as a power of 2. Twice as
// many as a busy host has at once would be enough, but two that share a slot push
// each other out.
const recentBits = 14

// A recent remembers the rules of the destinations that one goroutine looked up last,
// in a table: a look-up reads one cache line, whatever the table. It keeps nothing of
// the table alive. The zero value is ready. Nil remembers nothing.
type recent struct {
	table uint64 // its id
	slots [1 << recentBits]struct {
		dst  netip.Addr
		rule uint16 // its index in the table, or noRule
	}
}

// follow returns what t.follow does, of the packet's destination.
func (c *recent) follow(t *table, pkt []byte, dst netip.Addr) *rule {
	if c == nil {
		return t.follow(dst)
	}
	if c.table != t.id {
		if c.table != 0 {
			clear(c.slots[:])
		}
		c.table = t.id
	}
	s := &c.slots[slotOf(pkt)]
	if s.dst != dst {
		n, ok := t.lpm.Lookup(dst)
		if !ok {
			n = noRule
		}
		s.dst, s.rule = dst, n
	}
	if s.rule == noRule {
		return nil
	}
	return &t.rules[s.rule]
}

// slotOf hashes the destination of a whole IP packet, by multiplication. Who makes
// addresses share a slot slows their packets down to what they cost without it.
func slotOf(pkt []byte) uint64 {
	var h uint64
	if pkt[0]>>4 == 4 {
		h = uint64(binary.LittleEndian.Uint32(pkt[16:]))
	} else {
		h = binary.LittleEndian.Uint64(pkt[24:]) ^ binary.LittleEndian.Uint64(pkt[32:])*0xff51afd7ed558ccd
	}
	return h * 0x9e3779b97f4a7c15 >> (64 - recentBits)
}
