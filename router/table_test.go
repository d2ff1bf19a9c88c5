package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"multihop/packet"
)

// A model is a table as a list of routes.
type model []modelRoute

type modelRoute struct {
	prefix netip.Prefix
	hop    *hop // nil: reject
}

// lookup returns the hop of the longest prefix; nil: it rejects, or there is
// none.
func (m model) lookup(a netip.Addr) *hop {
	best := modelRoute{}
	for _, r := range m {
		if r.prefix.Contains(a) && (!best.prefix.IsValid() || r.prefix.Bits() > best.prefix.Bits()) {
			best = r
		}
	}
	return best.hop
}

// table builds the table of the same routes.
func (m model) table(t *testing.T, hops []*hop) *table {
	t.Helper()
	var routes []Route
	for _, r := range m {
		route := Route{Prefix: r.prefix}
		if r.hop != nil {
			route.Hop = r.hop.name
		}
		routes = append(routes, route)
	}
	return tableOf(t, addrs("192.0.2.1", "2001:db8::1"), routes, hops...)
}

// change returns another set of routes, most of them the same.
func (m model) change(rnd *rand.Rand, base netip.Addr, hops []*hop) model {
	next := slices.Clone(m)
	for range 1 + rnd.IntN(3) {
		r := modelRoute{smallPrefix(rnd, base, 5), hops[rnd.IntN(len(hops))]}
		i := slices.IndexFunc(next, func(o modelRoute) bool { return o.prefix == r.prefix })
		switch {
		case i < 0:
			next = append(next, r)
		case rnd.IntN(2) == 0:
			next[i] = r
		default:
			next = slices.Delete(next, i, i+1)
		}
	}
	return next
}

func bareHops(n int) []*hop {
	r := New(nil)
	var hops []*hop
	for i := range n {
		hops = append(hops, newHop(r, Hop{Name: fmt.Sprintf("h%d", i), MTU: 1420, Addrs: []netip.Addr{
			netip.AddrFrom4([4]byte{10, byte(i), 0, 2}), netip.MustParseAddr(fmt.Sprintf("fd0%d::2", i)),
		}}, nil))
	}
	return hops
}

// tableOf returns the table of routes over bare hops.
func tableOf(tb testing.TB, tun []netip.Addr, routes []Route, hops ...*hop) *table {
	tb.Helper()
	return tableAfter(tb, nil, tun, routes, hops...)
}

// tableAfter returns the table that follows one; nil: it is the first.
func tableAfter(tb testing.TB, before *table, tun []netip.Addr, routes []Route, hops ...*hop) *table {
	tb.Helper()
	p := &Plan{Addrs: tun, cfg: &Config{Routes: routes}}
	for _, h := range hops {
		cfg := h.conf().Hop
		cfg.Peers = []Peer{{AllowedIPs: everything}}
		p.cfg.Hops = append(p.cfg.Hops, cfg)
	}
	must(tb, p.checkRoutes())
	t, err := newTable(p, hops, before)
	must(tb, err)
	New(nil).refreshFar(t)
	return t
}

// TestMoved compares moved with an oracle that asks both tables about every
// address: no hop that lost one may be missed. One too many costs little, but a
// hop that no changed prefix touches must be left alone.
func TestMoved(t *testing.T) {
	rounds := 800
	if raceEnabled { // nothing runs beside it
		rounds = 50
	}
	for _, base := range addrs("198.51.100.0", "2001:db8:f::") {
		t.Run(family(base), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(2, uint64(base.BitLen())))
			hops := bareHops(3)
			targets := append(slices.Clone(hops), nil) // nil: reject
			all := netip.PrefixFrom(base, base.BitLen()-5)
			named, needless := 0, 0
			for range rounds {
				var old model
				for range rnd.IntN(6) {
					old = old.change(rnd, base, targets)
				}
				next := old.change(rnd, base, targets)
				got := old.table(t, hops).moved(next.table(t, hops))
				want := make(map[*hop]bool)
				for a := all.Addr(); all.Contains(a); a = a.Next() {
					if was := old.lookup(a); was != nil && next.lookup(a) != was {
						want[was] = true
					}
				}
				for _, h := range hops {
					if want[h] && !got[h] {
						t.Fatalf("%s lost addresses and is not named\nold %v\nnew %v", h.name, old, next)
					}
					if got[h] && !touched(h, old, next) {
						t.Fatalf("%s is named, and nothing of it changed\nold %v\nnew %v", h.name, old, next)
					}
					if got[h] {
						named++
						if !want[h] {
							needless++
						}
					}
				}
			}
			if needless > named/5 {
				t.Errorf("%d of %d hops were named needlessly", needless, named)
			}
		})
	}
}

// touched reports whether a route that one model has, and the other not,
// overlaps one of the hop's in old.
func touched(h *hop, old, next model) bool {
	changed := func(a, b model) bool {
		return slices.ContainsFunc(a, func(r modelRoute) bool {
			return !slices.Contains(b, r) && slices.ContainsFunc(old, func(o modelRoute) bool {
				return o.hop == h && o.prefix.Overlaps(r.prefix)
			})
		})
	}
	return changed(old, next) || changed(next, old)
}

// TestMovedToFreshHop: a hop that is replaced by one of its name lost what it
// had, and one that leaves too.
func TestMovedToFreshHop(t *testing.T) {
	before, after := bareHops(2), bareHops(1)
	old := model{{farNet, before[0]}, {nearNet, before[1]}}
	got := old.table(t, before).moved(model{{farNet, after[0]}}.table(t, after))
	if len(got) != 2 || !got[before[0]] || !got[before[1]] {
		t.Errorf("moved %v", got)
	}
}

// TestLookupBothWays: the one table names the hop of a destination, and lets
// that hop, and no other, send from it.
func TestLookupBothWays(t *testing.T) {
	for _, base := range addrs("198.51.100.0", "2001:db8:f::") {
		t.Run(family(base), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(3, uint64(base.BitLen())))
			hops := bareHops(3)
			all := netip.PrefixFrom(base, base.BitLen()-5)
			for range 100 {
				var m model
				for range 1 + rnd.IntN(5) {
					m = m.change(rnd, base, append(slices.Clone(hops), nil))
				}
				tab := m.table(t, hops)
				for a := all.Addr(); all.Contains(a); a = a.Next() {
					want := m.lookup(a)
					v, why := tab.find(a, tab.follow(a))
					if want == nil && !why.rejects() || want != nil && (why != delivered || v.hop != want) {
						t.Fatalf("to %v: %v, want %v; routes %v", a, why, want, m)
					}
					for _, h := range hops {
						wantWhy := dropSpoof
						if h == want {
							wantWhy = delivered
						}
						pkt := udp(netip.AddrPortFrom(a, 7), netip.AddrPortFrom(h.addr(a), 4000), []byte("pong"))
						var meta, quote packet.Meta
						if meta.Parse(pkt) != packet.OK {
							t.Fatal("malformed")
						}
						if why := tab.accept(tab.views[h], pkt, &meta, &quote); why != wantWhy {
							t.Fatalf("from %v through %s: %v, want %v; routes %v", a, h.name, why, wantWhy, m)
						}
					}
				}
			}
		})
	}
}

// TestTableForgetsHops: what a hop receives after it left the table goes
// nowhere.
func TestTableForgetsHops(t *testing.T) {
	hops := bareHops(2)
	tab := model{{farNet, hops[0]}}.table(t, hops[:1])
	pkt := udp(netip.AddrPortFrom(farNet.Addr().Next(), 7), netip.AddrPortFrom(hops[1].addr4, 4000), nil)
	var meta, quote packet.Meta
	if meta.Parse(pkt) != packet.OK {
		t.Fatal("malformed")
	}
	if why := tab.accept(tab.views[hops[1]], pkt, &meta, &quote); why != dropDown {
		t.Errorf("%v, want %v", why, dropDown)
	}
}
