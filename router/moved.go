package router

import "net/netip"

// moved returns the hops of the old table from which the new one takes
// addresses: only those need their waiting packets looked at again. Where a
// prefix is split, merged or hidden by longer ones, it may name a hop too many.
func (t *table) moved(next *table) map[*hop]bool {
	lost := make(map[*hop]bool)
	was, is := t.choices(), next.choices()
	if t.lpm == next.lpm { // of one plan: rule by rule
		for i, h := range was {
			if h != nil && is[i] != h {
				lost[h] = true
			}
		}
		return lost
	}
	check := func(p netip.Prefix) {
		_, i, ok := t.lpm.LookupPrefixLPM(p)
		if !ok || was[i] == nil {
			return
		}
		if _, j, ok := next.lpm.LookupPrefixLPM(p); !ok || is[j] != was[i] {
			lost[was[i]] = true
		}
	}
	for p, i := range t.lpm.All() {
		if j, ok := next.lpm.Get(p); !ok || is[j] != was[i] {
			check(p)
		}
	}
	if t.lpm.Size() == 0 {
		return lost
	}
	for p, j := range next.lpm.All() {
		if i, ok := t.lpm.Get(p); !ok || was[i] != is[j] {
			check(p)
		}
	}
	return lost
}

// choices returns the hop that each rule gives packets to now; nil: it rejects.
func (t *table) choices() []*hop {
	all := make([]*hop, len(t.rules))
	for i := range t.rules {
		if v := t.rules[i].pick(); v != nil {
			all[i] = v.hop
		}
	}
	return all
}
