package host

import (
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// manyConfig has n prefixes of 256 addresses in 16.0.0.0/4.
func manyConfig(n int) Config {
	c := splitConfig()
	for i := range n {
		a := netip.AddrFrom4([4]byte{16 + byte(i>>16), byte(i >> 8), byte(i), 0})
		c.Routes = append(c.Routes, Route{Prefix: netip.PrefixFrom(a, 24), MTU: 1400})
	}
	return c
}

// What is large stays linear, and what did not change costs little.
func TestManyRoutes(t *testing.T) {
	newHost(t)
	const n = 20_000
	before := told(t)
	h := openHost(t, t.TempDir())
	c := manyConfig(n)
	start := time.Now()
	apply(t, h, c)
	first := time.Since(start)
	start = time.Now()
	apply(t, h, c)
	again := time.Since(start)
	start = time.Now()
	must(t, h.SetRouteMTU(c.Routes[n/2].Prefix, 1300))
	one := time.Since(start)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%d prefixes: up %v, again %v, one MTU %v, heap %d MiB", n, first, again, one, mem.HeapAlloc>>20)
	start = time.Now()
	must(t, h.Release())
	next := openHost(t, h.k.dir)
	apply(t, next, c)
	t.Logf("taken over in %v", time.Since(start))
	start = time.Now()
	must(t, next.Close())
	t.Logf("down in %v", time.Since(start))
	sameState(t, before)
}
