package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// TestPlannedMTUs: a group's routes have the MTU of its smallest hop.
func TestPlannedMTUs(t *testing.T) {
	plan := &router.Plan{
		Hops:   []router.PlanHop{{Name: "entry", MTU: 1420}, {Name: "near", MTU: 1360}, {Name: "far", MTU: 1340}},
		Groups: []router.PlanGroup{{Name: "exit", Hops: []string{"near", "far"}}},
	}
	want := map[string]int{"entry": 1420, "near": 1360, "far": 1340, "exit": 1340}
	if d := cmp.Diff(want, plannedMTUs(plan)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
