package router

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"multihop/packet"
)

// millionPrefixes returns n different IPv4 prefixes, in order, as a list of them
// in a file is.
func millionPrefixes(n int) []netip.Prefix {
	rnd := rand.New(rand.NewPCG(1, 1))
	seen := make(map[netip.Prefix]bool, n)
	list := make([]netip.Prefix, 0, n)
	for len(list) < n {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], rnd.Uint32())
		p := netip.PrefixFrom(netip.AddrFrom4(a), 16+rnd.IntN(13)).Masked()
		if a[0] != 0 && a[0] < 224 && !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// liveHeap returns the bytes in use.
func liveHeap() int64 {
	time.Sleep(time.Second) // for devices of other tests to end
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMillion: a million prefixes are compiled and in force within 3 s, and take
// no more than 128 MiB, the list itself included; another million takes their
// place.
func TestMillion(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures")
	}
	l := newLab(t, nil)
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	before := liveHeap()
	list := millionPrefixes(1_000_000)
	list = slices.DeleteFunc(list, func(p netip.Prefix) bool { return p.Overlaps(farNet) || p.Overlaps(nearNet) })
	others := len(l.cfg.Routes)
	l.cfg.Routes = append(l.cfg.Routes, Route{Prefixes: list, Hop: "sibling"})
	apply := func() *Plan {
		began, used := time.Now(), cpuTime()
		p, err := Compile(l.cfg)
		must(t, err)
		compiled := time.Since(began)
		must(t, l.r.Apply(context.Background(), p))
		took, cpu := time.Since(began), cpuTime()-used
		t.Logf("%d prefixes: %v (Compile %v, processor %v)", len(list), took, compiled, cpu)
		if cpu > 3*time.Second {
			t.Errorf("%v of processor time", cpu)
		}
		return p
	}
	p := apply()
	heap := liveHeap() - before
	t.Logf("heap: %d MiB", heap>>20)
	if heap > 128<<20 {
		t.Errorf("%d MiB of heap", heap>>20)
	}
	if n := len(p.Routes); n != others+1 {
		t.Errorf("%d routes in the plan", n)
	}
	for _, hop := range []string{"sibling", "entry"} { // the second time in place of the first
		l.cfg.Routes[others].Hop = hop
		apply()
		for _, i := range []int{0, 1000, len(list) / 2, len(list) - 1} {
			if e := l.r.Explain(Flow{Dst: list[i].Addr()}); e.Rule != hop {
				t.Errorf("%v goes by %+v, want %s", list[i], e, hop)
			}
		}
		if src, ok := l.exchange(far, 10*time.Second); !ok || src != exitTunnel {
			t.Fatalf("the host saw %v (%v)", src, ok)
		}
	}
	hops := l.r.table.Load().order
	if n := testing.AllocsPerRun(3, func() {
		_, err := newTable(p, hops, l.r.table.Load())
		must(t, err)
	}); n > 100 {
		t.Errorf("a table of a compiled plan costs %v allocations", n)
	}
}

// BenchmarkLookup is the cost of finding the hop of an address.
func BenchmarkLookup(b *testing.B) { lookUps(b, false) }

// BenchmarkLookup6 is likewise, of IPv6 addresses, which the trie finds.
func BenchmarkLookup6(b *testing.B) { lookUps(b, true) }

// lookUps finds addresses of tables in turn.
func lookUps(b *testing.B, six bool) {
	for _, c := range crowds {
		b.Run(c.name, func(b *testing.B) {
			t, pkts := manyRoutes(b, c.prefixes, c.destined, six)
			dsts := make([]netip.Addr, len(pkts)) // a power of 2
			var m packet.Meta
			for i, pkt := range pkts {
				if m.Parse(pkt) != packet.OK {
					b.Fatal("malformed")
				}
				dsts[i] = m.Dst
			}
			b.ReportAllocs()
			i, used := 0, cpuTime()
			for b.Loop() {
				if v, _ := t.lookup(dsts[i&(len(dsts)-1)]); v == nil {
					b.Fatal("not found")
				}
				i++
			}
			b.ReportMetric(float64((cpuTime()-used).Nanoseconds())/float64(i), "cpu-ns/op")
		})
	}
}

// BenchmarkCompile is the cost of a configuration of so many prefixes in one
// route.
func BenchmarkCompile(b *testing.B) {
	cfg := chain()
	cfg.Routes = []Route{{Prefixes: millionPrefixes(1_000_000), Hop: "entry"}}
	cfg.Hops[0].Peers[0].AllowedIPs = everything
	for b.Loop() {
		if _, err := Compile(cfg); err != nil {
			b.Fatal(err)
		}
	}
}
