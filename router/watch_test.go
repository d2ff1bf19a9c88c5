package router

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

// events records what a router tells.
type events struct {
	mu   sync.Mutex
	list []Event
}

func (r *events) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
}

func (r *events) of(kind EventKind) (list []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.list {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// TestEventRoutes: an Apply that changes routes is told of, once, and no other.
func TestEventRoutes(t *testing.T) {
	var told events
	l := newLab(t, &Options{OnEvent: told.add})
	l.start()
	count := func(n, prefixes int) {
		t.Helper()
		eventually(t, 5*time.Second, "an event", func() bool { return len(told.of(EventRoutes)) >= n })
		if all := told.of(EventRoutes); len(all) != n || all[n-1].Prefixes != prefixes {
			t.Fatalf("%+v, want %d, the last with %d prefixes", all, n, prefixes)
		}
	}
	count(1, 3)
	l.cfg.Hops[1].Peers[0].Keepalive = time.Minute
	l.apply() // no route of it
	time.Sleep(2 * watchEvery)
	count(1, 3)
	l.cfg.Routes[1].Hop = "exit"
	l.apply()
	count(2, 3)
	l.cfg.Routes = l.cfg.Routes[1:]
	l.apply()
	count(3, 2)
	for _, e := range told.of(EventRoutes) {
		if e.Time.IsZero() || e.Hop != "" {
			t.Errorf("%+v", e)
		}
	}
}

// TestEventDrops: bursts, and nothing less, are told of by hop and name, at most
// once in a while, with every packet counted; a removed hop's counters are none.
func TestEventDrops(t *testing.T) {
	r := New(&Options{OnEvent: func(Event) {}})
	h := bareHops(2)
	r.table.Store(&table{lpm: new(routeTable), order: h, views: map[*hop]*view{h[0]: {}, h[1]: {}}})
	w := newWatch(r)
	now := time.Now()
	h[0].drops.add(dropSpoof, 1_000_000) // before it looks: no burst
	w.look(now)
	for _, tt := range []struct {
		name  string
		after time.Duration
		drop  func()
		want  []Event
	}{
		{"a few", time.Second, func() { h[0].drops.add(dropSpoof, burstLeast-1); r.drops.add(dropNoRoute, 1) }, nil},
		{"a burst", time.Second, func() { h[0].drops.add(dropSpoof, burstLeast) }, []Event{{Hop: "h0", Drop: "spoof", Count: burstLeast}}},
		{"it goes on", time.Second, func() { h[0].drops.add(dropSpoof, 500) }, nil},
		{"and on, and another hop's", time.Second, func() { h[0].drops.add(dropSpoof, 600); h[1].drops.add(dropSpoof, 300) }, []Event{{Hop: "h1", Drop: "spoof", Count: 300}}},
		{"another name", time.Second, func() { h[0].drops.add(dropTooBig, 700) }, []Event{{Hop: "h0", Drop: "too_big", Count: 700}}},
		{"it is over", burstEvery, func() { h[0].drops.add(dropSpoof, 5) }, []Event{{Hop: "h0", Drop: "spoof", Count: 1100}}},
		{"quiet", burstEvery, func() {}, nil},
		{"of no hop", time.Second, func() { r.drops.add(dropNoRoute, 800) }, []Event{{Drop: "no_route", Count: 800}}},
		{"a hop is removed", burstEvery, func() {
			r.table.Store(&table{lpm: new(routeTable), order: h[:1], views: map[*hop]*view{h[0]: {}}})
			r.bury(h[1])
		}, nil},
		{"while an Apply is under way", time.Second, func() { r.applying.Lock(); r.drops.add(dropSpoof, 900) }, nil},
		{"after it", time.Second, func() { r.applying.Unlock(); r.drops.add(dropSpoof, 900) }, nil}, // what it buried is not known
		{"and then a burst", burstEvery, func() { r.drops.add(dropSpoof, 900) }, []Event{{Drop: "spoof", Count: 900}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now = now.Add(tt.after)
			tt.drop()
			w.look(now)
			got := r.events.take()
			if len(got) != len(tt.want) {
				t.Fatalf("%+v", got)
			}
			for i, e := range got {
				want := tt.want[i]
				if e.Kind != EventDrops || e.Hop != want.Hop || e.Drop != want.Drop || e.Count != want.Count || e.Time.IsZero() {
					t.Errorf("%+v, want %+v", e, want)
				}
			}
		})
	}
}

// TestEventQueueCounts: bursts that are coalesced are added up.
func TestEventQueueCounts(t *testing.T) {
	q := &eventQueue{ready: make(chan struct{}, 1)}
	for _, e := range []Event{
		{Kind: EventDrops, Hop: "a", Drop: "spoof", Count: 1},
		{Kind: EventDrops, Hop: "a", Drop: "too_big", Count: 2},
		{Kind: EventDrops, Hop: "a", Drop: "spoof", Count: 4},
		{Kind: EventRoam, Hop: "a", Endpoint: netip.MustParseAddrPort("192.0.2.1:1")},
	} {
		q.put(e)
	}
	got := q.take()
	if len(got) != 3 || got[0].Count != 2 || got[1].Count != 5 {
		t.Errorf("%+v", got)
	}
}
