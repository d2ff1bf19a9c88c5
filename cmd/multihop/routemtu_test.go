package main

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// TestPlannedMTUs: a group's routes have the MTU of its smallest hop, and those with a
// fallback that of the smaller one.
func TestPlannedMTUs(t *testing.T) {
	plan := &router.Plan{
		Hops:   []router.PlanHop{{Name: "entry", MTU: 1420}, {Name: "near", MTU: 1360}, {Name: "far", MTU: 1340}},
		Groups: []router.Group{{Name: "exit", Hops: []string{"near", "far"}}},
		Routes: []router.PlanRoute{
			{Hop: "entry", MTU: 1420}, {Hop: "entry", Fallback: "exit", MTU: 1340}, {Hop: "near", Fallback: "entry", MTU: 1360}, {Reject: "its route says so"},
		},
	}
	want := map[string]int{"entry": 1420, "near": 1360, "far": 1340, "exit": 1340, "entry, else exit": 1340, "near, else entry": 1360}
	if d := cmp.Diff(want, plannedMTUs(plan)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestRouteKeys: what the hops' MTUs make of a route is what was planned for it.
func TestRouteKeys(t *testing.T) {
	w, err := newDemoNet()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	cfg := w.config()
	to := func(prefix, hop, fallback string) router.Route {
		r := router.Route{Prefix: netip.MustParsePrefix(prefix), Hop: hop, Fallback: fallback}
		if fallback != "" {
			r.OnDown = router.Fallback
		}
		return r
	}
	cfg.Groups = []router.Group{{Name: "both", Hops: []string{"entry", "exit"}}}
	cfg.Routes = []router.Route{
		to("203.0.113.0/28", "entry", ""), to("203.0.113.16/28", "exit", ""), to("203.0.113.32/28", "both", ""),
		to("203.0.113.48/28", "entry", "exit"), to("203.0.113.64/28", "exit", "entry"), to("203.0.113.80/28", "entry", "both"),
	}
	plan, err := router.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mtus := plannedMTUs(plan)
	for i := range plan.Routes {
		if r := &plan.Routes[i]; r.Reject != "" || mtus[routeKey(r)] != r.MTU {
			t.Errorf("%+v has an MTU of %d", r, mtus[routeKey(r)])
		}
	}
	if a, b := mtus[routeKey(&plan.Routes[0])], mtus[routeKey(&plan.Routes[3])]; a != 1420 || b != 1360 {
		t.Errorf("MTUs %d, and %d with a fallback", a, b)
	}
}
