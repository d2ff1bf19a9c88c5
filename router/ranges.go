package router

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A routeTable says which rule of a plan a destination follows. It is built once
// by Compile, sealed, and shared by every table that is made of the plan.
//
// The trie holds all prefixes. Of a million IPv4 ones it is some 30 MiB, and a
// look-up reads a dozen cache lines of them, one after the other; so the data path
// asks ranges, which are half of that, and of which it reads three or four.
type routeTable struct {
	bart.Table[uint16]
	v4 ranges
}

// noRule is the number of no rule.
const noRule = math.MaxUint16

// Lookup returns the rule of a, by longest prefix.
func (t *routeTable) Lookup(a netip.Addr) (uint16, bool) {
	if a.Is4() {
		b := a.As4()
		n := t.v4.lookup(binary.BigEndian.Uint32(b[:]))
		return n, n != noRule
	}
	return t.Table.Lookup(a)
}

// Equal reports whether two tables have the same prefixes with the same rules.
func (t *routeTable) Equal(o *routeTable) bool { return t.Table.Equal(&o.Table) }

// seal makes Lookup know what was inserted.
func (t *routeTable) seal() { t.v4 = newRanges(&t.Table) }

// ranges are the IPv4 addresses, cut wherever another rule begins. The zero value
// has no rules. Immutable.
type ranges struct {
	cuts  []uint64 // the address that a range begins with, in the upper half, and its rule; ascending; the first is of 0.0.0.0
	index []uint32 // of the range that each block of 1<<shift addresses begins in; at the end that of the last address
	shift uint
}

// newRanges returns the ranges of the IPv4 prefixes of t.
func newRanges(t *bart.Table[uint16]) ranges {
	var r ranges
	if t.Size4() == 0 {
		return r
	}
	// Around the next prefix, the innermost last: they nest, and come in order.
	type around struct {
		end  uint64 // behind its last address
		rule uint16
	}
	open := []around{{1 << 32, noRule}}
	r.cuts = make([]uint64, 0, 2*t.Size4()+1) // as many as there can be
	r.cut(0, noRule)
	leave := func(a uint64) { // what ends at a or before
		for last := len(open) - 1; last > 0 && open[last].end <= a; last-- {
			r.cut(open[last].end, open[last-1].rule)
			open = open[:last]
		}
	}
	for p, n := range t.AllSorted4() {
		b := p.Addr().As4()
		a := uint64(binary.BigEndian.Uint32(b[:]))
		leave(a)
		r.cut(a, n)
		open = append(open, around{a + 1<<(32-p.Bits()), n})
	}
	leave(1 << 32)
	if len(r.cuts) < cap(r.cuts)/4*3 {
		r.cuts = slices.Clone(r.cuts)
	}

	blocks := min(max(bits.Len(uint(len(r.cuts)))+1, 8), 16) // as a power of 2
	r.shift = uint(32 - blocks)
	r.index = make([]uint32, 1<<blocks+1)
	at := 0
	for i := range r.index {
		begin := min(uint64(i)<<r.shift, math.MaxUint32)
		for at+1 < len(r.cuts) && r.cuts[at+1]>>32 <= begin {
			at++
		}
		r.index[i] = uint32(at)
	}
	return r
}

// cut begins a range at a, which is not before the last one.
func (r *ranges) cut(a uint64, rule uint16) {
	here := a<<32 | uint64(rule)
	switch last := len(r.cuts) - 1; {
	case a > math.MaxUint32 || last >= 0 && uint16(r.cuts[last]) == rule:
	case last >= 0 && r.cuts[last]>>32 == a:
		r.cuts[last] = here
	default:
		r.cuts = append(r.cuts, here)
	}
}

// lookup returns the rule of a.
func (r *ranges) lookup(a uint32) uint16 {
	block := a >> (r.shift & 31)
	if uint64(block)+1 >= uint64(len(r.index)) { // there are none
		return noRule
	}
	low, n := int(r.index[block]), int(r.index[block+1]-r.index[block])+1
	for cuts := r.cuts; n > 1; { // the last of n that begins at a or before
		half := n / 2
		// Without a branch, which would be guessed wrong half of the time.
		behind := int((int64(a) - int64(cuts[low+half]>>32)) >> 63)
		low += half &^ behind
		n -= half
	}
	return uint16(r.cuts[low])
}
