package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"multihop/conf"
	"multihop/router"
)

// scattered returns n different addresses, in no order, as prefixes.
func scattered(n int) []netip.Prefix {
	out := make([]netip.Prefix, n)
	for i, x := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 16<<24+uint32(x)*3001)))
		out[i] = netip.PrefixFrom(a, 32)
	}
	return out
}

// TestDesireManyRoutes: what is asked for is compiled once, however often the host
// is asked what it depends on, and a list of prefixes costs the plan's table: some
// 120 bytes each.
func TestDesireManyRoutes(t *testing.T) {
	const n, most = 100_000, 150 // bytes for each
	in := newBareInstance(t, new(bytes.Buffer))
	c := conf.Instance{Config: in.inForce().conf.Config}
	c.Config.Routes = []router.Route{{Hop: "entry", Prefixes: scattered(n)}}
	var d *desired
	least := uint64(math.MaxUint64)
	for range 10 { // the devices, which have just been made, allocate beside it
		var before, after runtime.MemStats
		var err error
		runtime.ReadMemStats(&before)
		d, err = in.desire(t.Context(), &c)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, (after.TotalAlloc-before.TotalAlloc)/n)
	}
	if least > most {
		t.Errorf("%d bytes for each prefix, want at most %d", least, most)
	}
	if len(d.plan.Routes) != 1 || len(d.host.Routes) != 1 || len(d.host.Routes[0].Prefixes) != n || d.host.Routes[0].MTU == 0 {
		t.Errorf("%d routes planned; the host is told %d", len(d.plan.Routes), len(d.host.Routes))
	}
}

// Routes that are wrong are refused, though they are judged last.
func TestDesireRefusesRoutes(t *testing.T) {
	in := newBareInstance(t, new(bytes.Buffer))
	c := conf.Instance{Config: in.inForce().conf.Config}
	p := netip.MustParsePrefix("198.51.100.0/24")
	c.Config.Routes = []router.Route{{Hop: "entry", Prefix: p}, {Hop: "entry", Prefix: p}}
	if _, err := in.desire(t.Context(), &c); err == nil || !strings.Contains(err.Error(), "198.51.100.0/24 is also a route of") {
		t.Errorf("got %v", err)
	}
}
