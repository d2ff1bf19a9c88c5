package forest_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDepth runs chains as deep as a wire's MTU allows, and deeper where links
// fragment: at each depth the innermost host answers a ping of 32 bytes, and at
// the deepest TCP goes each way. A layer that could carry nothing is refused before
// anything is started.
func TestDepth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		wire, layers int
		fragments    bool
		transfer     int64 // bytes each way; 0: none
	}{
		{1500, 1, false, 0},
		{1500, 2, false, 0},
		{1500, 3, false, 0},
		{1500, 4, false, 0},
		{1500, 5, false, 0},
		{1500, 6, false, 0},
		{1500, 7, false, 0},
		{1500, 8, false, 0},
		{1500, 23, false, 1 << 20},
		{1540, 24, false, 1 << 20},
		{1500, 48, true, 256 << 10}, // each segment becomes a thousand packets on the way
	}
	w := newTower(t, 48)
	for _, tt := range tests {
		name := fmt.Sprintf("%d layers over %d", tt.layers, tt.wire)
		flags := top(tt.layers)
		if tt.fragments {
			name += ", fragmenting"
			flags = append(flags, "--fragment")
		}
		t.Run(name, func(t *testing.T) {
			w.shape(tt.wire, tt.layers, tt.fragments)
			files := w.chain(t, tt.wire, tt.layers)
			plan, err := run(w.client, w.programs.Multihop, slices.Concat([]string{"check"}, flags, files)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, plan)
			}
			checkMTUs(t, plan, tt.wire, tt.layers, tt.fragments)

			i := start(t, w.client, w.programs, append(flags, files...)...)
			defer i.stop(t)
			w.answers(t, layerAddr(tt.layers, 1))
			if tt.transfer > 0 {
				w.transfers(t, tt.layers, tt.transfer)
			}
		})
	}
	t.Run("24 layers over 1500", func(t *testing.T) {
		const why = "hop hop24: MTU: too small to carry a packet: 120 of its carrier hop23 less 60 leaves 60, and 68 are needed"
		files := w.chain(t, 1500, 24)
		for _, verb := range []string{"check", "run"} {
			out, err := run(w.client, w.programs.Multihop, slices.Concat([]string{verb}, top(24), files)...)
			if err == nil || !strings.Contains(out, why) {
				t.Errorf("%s: %v; want it to say %q:\n%s", verb, err, why, out)
			}
			if w.client.HasLink(tun) {
				t.Errorf("%s made a TUN", verb)
			}
		}
	})
}

// checkMTUs checks the MTU that a plan has for each layer.
func checkMTUs(t *testing.T, plan string, wire, layers int, fragments bool) {
	t.Helper()
	got := mtus(plan)
	if len(got) != layers {
		t.Fatalf("the plan has %d hops, want %d:\n%s", len(got), layers, plan)
	}
	for k := 1; k <= layers; k++ {
		want := wire - k*layerCost
		if fragments {
			want = max(want, fragmentMTU)
		}
		if name := fmt.Sprintf("hop%d", k); got[name] != strconv.Itoa(want) {
			t.Errorf("the plan has an MTU of %s for %s, want %d", got[name], name, want)
		}
	}
}
