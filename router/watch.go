package router

import (
	"slices"
	"time"
)

const (
	watchEvery = time.Second
	burstLeast = 100              // packets of one name in watchEvery
	burstEvery = 10 * time.Second // an event of one hop and name
)

// A watch finds, by looking at the table and the counters now and then, the
// events that are no single moment of the data path: changed routes, and bursts
// of drops. Not safe for concurrent use.
type watch struct {
	r      *Router
	lpm    *routeTable // as of the last look
	rules  []rule
	bursts map[*hop]*bursts // nil: what belongs to no hop
}

// bursts are the drops of one hop.
type bursts struct {
	last  [numReasons]uint64    // counters, as of the last look
	sum   [numReasons]uint64    // packets of bursts that no event has told of
	at    [numReasons]time.Time // of the last event
	known bool                  // last was read
}

// newWatch returns a watch of a router that has no routes yet.
func newWatch(r *Router) *watch {
	return &watch{r: r, lpm: new(routeTable), bursts: make(map[*hop]*bursts)}
}

// look emits what happened since the last look.
func (w *watch) look(now time.Time) {
	t := w.r.table.Load()
	if !w.sameRoutes(t) {
		w.r.emit(Event{Kind: EventRoutes, Prefixes: t.lpm.Size()})
	}
	w.lpm, w.rules = t.lpm, t.rules

	w.countHopless(now)
	for _, h := range t.order {
		w.count(h, &h.drops, now)
	}
}

// countHopless emits the bursts of what belongs to no hop. The counters of hops
// that are removed are added to those: that is none.
func (w *watch) countHopless(now time.Time) {
	if !w.r.applying.TryLock() {
		delete(w.bursts, nil) // it may be removing some
		return
	}
	defer w.r.applying.Unlock()
	t := w.r.table.Load()
	for h := range w.bursts {
		if h != nil && t.views[h] == nil {
			delete(w.bursts, h)
			delete(w.bursts, nil)
		}
	}
	w.count(nil, &w.r.drops, now)
}

// sameRoutes reports whether t sends every packet where the table did that was
// there at the last look.
func (w *watch) sameRoutes(t *table) bool {
	same := func(a, b rule) bool { return *a.plan == *b.plan }
	return t.lpm == w.lpm || t.lpm.Size() == w.lpm.Size() && slices.EqualFunc(t.rules, w.rules, same) && t.lpm.Equal(w.lpm)
}

// count emits the bursts of one set of counters.
func (w *watch) count(h *hop, d *drops, now time.Time) {
	b := w.bursts[h]
	if b == nil {
		b = new(bursts)
		w.bursts[h] = b
	}
	for i := range d {
		n := d[i].Load()
		if more := n - b.last[i]; b.known && more >= burstLeast {
			b.sum[i] += more
		}
		b.last[i] = n
		if b.sum[i] == 0 || now.Sub(b.at[i]) < burstEvery {
			continue
		}
		e := Event{Kind: EventDrops, Drop: reason(i).String(), Count: b.sum[i]}
		if h != nil {
			e.Hop = h.name
		}
		w.r.emit(e)
		b.sum[i], b.at[i] = 0, now
	}
	b.known = true
}
