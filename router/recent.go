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
	slots [1 << recentBits]seen // first: no slot lies across two cache lines
}

// A seen is a destination and its rule.
type seen struct {
	key
	rule uint16 // its index in the table, or noRule
}

// A key is a destination in a table.
type key struct {
	high, low uint64 // as in the packet; of IPv4, high is 0
	table     uint64 // twice its id, and 1 for IPv4; 0: an empty slot
}

// keyOf returns the key of the destination of a whole IP packet.
func keyOf(t *table, pkt []byte) key {
	if pkt[0]>>4 == 4 {
		return key{low: uint64(binary.LittleEndian.Uint32(pkt[16:])), table: t.id<<1 | 1}
	}
	return key{binary.LittleEndian.Uint64(pkt[24:]), binary.LittleEndian.Uint64(pkt[32:]), t.id << 1}
}

// slot hashes k, by multiplication. Who makes addresses share a slot slows their
// packets down to what they cost without it.
func (k key) slot() uint64 {
	return (k.high ^ k.low*0xff51afd7ed558ccd) * 0x9e3779b97f4a7c15 >> (64 - recentBits)
}

// follow returns what t.follow does, of a whole IP packet to dst.
func (c *recent) follow(t *table, pkt []byte, dst netip.Addr) *rule {
	if c == nil {
		return t.follow(dst)
	}
	k := keyOf(t, pkt)
	s := &c.slots[k.slot()]
	if s.key != k {
		n, ok := t.lpm.Lookup(dst)
		if !ok {
			n = noRule
		}
		*s = seen{k, n}
	}
	if s.rule == noRule {
		return nil
	}
	return &t.rules[s.rule]
}
