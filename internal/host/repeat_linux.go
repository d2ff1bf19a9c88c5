package host

import (
	"net/netip"
	"slices"
)

// ways are the different ways into the TUN. Until it is known which routes are
// needed, they have the number of their way for an MTU: a route has room for no
// more, and there may be millions.
type ways struct {
	numbers map[way]uint32
	mtus    []uint32 // by number
}

// A way is what routes share that one can stand for the other, whatever MTUs
// SetRouteMTU gives them.
type way struct {
	hop string
	mtu int
}

// number returns the number of the way of r.
func (w *ways) number(r *Route) uint32 {
	x := way{r.Hop, r.MTU}
	n, ok := w.numbers[x]
	if !ok {
		if w.numbers == nil {
			w.numbers = make(map[way]uint32)
		}
		n = uint32(len(w.mtus))
		w.numbers[x], w.mtus = n, append(w.mtus, uint32(r.MTU))
	}
	return n
}

// setMTUs gives routes that have numbers their MTUs.
func (w *ways) setMTUs(tuns []route) {
	for i := range tuns {
		tuns[i].mtu = w.mtus[tuns[i].mtu]
	}
}

// withoutRepeats leaves out what a table of our own does not need: a route into the
// TUN, with its guard, where the longest shorter prefix of the table that has it is
// one by the same way. Both lists are sorted, each route into the TUN has a guard,
// and nothing else has its prefix. They are changed in place.
func withoutRepeats(guards, tuns []route) (neededGuards, neededTUNs []route) {
	type entry struct {
		prefix netip.Prefix
		way    uint32
		tun    bool
	}
	var around []entry // of the prefix at hand, the longest last
	neededGuards, neededTUNs = guards[:0], tuns[:0]
	for _, g := range guards {
		e := entry{prefix: g.prefix()}
		for len(around) > 0 && !within(e.prefix, around[len(around)-1].prefix) {
			around = around[:len(around)-1]
		}
		var t route
		if len(tuns) > 0 && tuns[0].network == g.network {
			t, tuns = tuns[0], tuns[1:]
			e.way, e.tun = t.mtu, true
		}
		if last := len(around) - 1; last >= 0 && e.tun && around[last].tun && around[last].way == e.way {
			continue
		}
		around = append(around, e)
		neededGuards = append(neededGuards, g)
		if e.tun {
			neededTUNs = append(neededTUNs, t)
		}
	}
	if len(neededGuards) < len(guards)/2 { // what is left out is not to be held
		neededGuards, neededTUNs = slices.Clone(neededGuards), slices.Clone(neededTUNs)
	}
	return neededGuards, neededTUNs
}
