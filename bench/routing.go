package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/memnet"
	"multihop/router"
	"multihop/tun"
)

// routing measures the route table: what a packet costs, by the packages' own
// benchmarks, and what a change costs, by the router's interface.
func (r *rounds) routing(section int) error {
	begun := time.Now()
	for n := range max(r.o.most, r.o.routingRounds) {
		r.o.progress("section %d, routing, round %d", section, n+1)
		for _, prefixes := range []int{10, 1000, 1_000_000} {
			if err := r.tables(section, prefixes); err != nil {
				return err
			}
		}
		if err := r.benchmarks(section); err != nil {
			return err
		}
		if n+1 >= r.o.routingRounds && r.rec.settled(section, nil, "time") || r.enough(n+1, begun) {
			break
		}
	}
	return r.phases(section)
}

// tables gives a running router that many prefixes, and then one more.
func (r *rounds) tables(section, n int) error {
	hop := func(i int) router.Hop {
		private := router.NewPrivateKey()
		return router.Hop{
			Name: fmt.Sprint("h", i), PrivateKey: private, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i), 2})},
			Peers: []router.Peer{{
				PublicKey: router.NewPrivateKey().Public(), Endpoint: "192.0.2.9:51820", AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
			}},
		}
	}
	cfg := router.Config{Hops: []router.Hop{hop(0), hop(1), hop(2), hop(3)}}
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	seen := make(map[netip.Prefix]bool, n+1)
	for len(cfg.Routes) < n+1 {
		a := netip.AddrFrom4([4]byte{byte(1 + rnd.IntN(223)), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())})
		p := netip.PrefixFrom(a, 16+rnd.IntN(13)).Masked()
		if !seen[p] {
			seen[p] = true
			cfg.Routes = append(cfg.Routes, router.Route{Prefix: p, Hop: cfg.Hops[rnd.IntN(4)].Name})
		}
	}
	clear(seen)
	more := cfg
	cfg.Routes = cfg.Routes[:n:n]
	rt := router.New(&router.Options{Bind: memnetBind()})
	if err := rt.SetTUN(tun.NewMemory(nil)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rt.Run(ctx) }()
	defer func() {
		cancel()
		<-done //nolint:errcheck // Close fails for the TUN only, and this one cannot
	}()

	k := key{Section: section, Case: fmt.Sprintf("%d prefixes", n), Subject: "multihop"}
	before := heap()
	for _, step := range []struct {
		metric string
		cfg    router.Config
	}{{"first plan", cfg}, {"one prefix more", more}} {
		start := time.Now()
		plan, err := router.Compile(step.cfg)
		if err != nil {
			return err
		}
		if err := rt.Apply(ctx, plan); err != nil {
			return err
		}
		r.add(k, step.metric, "ms", time.Since(start).Seconds()*1000)
	}
	r.add(k, "heap", "MiB", (heap()-before)/(1<<20))
	runtime.KeepAlive(cfg)
	return nil
}

// heap is what is live on it, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// memnetBind gives each hop a socket on a net without anybody else.
func memnetBind() func(string) conn.Bind {
	n := memnet.New()
	next := byte(0)
	return func(string) conn.Bind {
		next++
		return n.Bind(netip.AddrFrom4([4]byte{198, 51, 100, next}))
	}
}

// benchmarks runs those of the packages on a packet's way, and keeps the time
// per packet.
func (r *rounds) benchmarks(section int) error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-benchtime", r.o.benchTime.String(), "-timeout", "20m",
		"./packet", "./nat", "./router", "./internal/queue", "./internal/udp")
	cmd.Dir = r.o.root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("benchmarks: %w\n%s", err, out)
	}
	pkg := ""
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if p, ok := strings.CutPrefix(s.Text(), "pkg: multihop/"); ok {
			pkg = p
		}
		f := strings.Fields(s.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // the number of processors
		}
		at := slices.IndexFunc(f, func(s string) bool { return strings.HasPrefix(s, "ns/") && s != "ns/op" }) // of a packet, not a batch
		if at < 0 {
			at = slices.Index(f, "ns/op")
		}
		if at < 1 {
			continue
		}
		if v, err := strconv.ParseFloat(f[at-1], 64); err == nil {
			r.add(key{Section: section, Case: "benchmark", Subject: pkg + " " + name}, "time", f[at], v)
		}
	}
	return nil
}

// phases profiles the outbound way with a million prefixes.
func (r *rounds) phases(section int) error {
	dir, err := os.MkdirTemp("", "multihop-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	profile, test := filepath.Join(dir, "cpu"), filepath.Join(dir, "test")
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkOutbound$/prefixes=1000000$", "-cpuprofile", profile, "-o", test, "./router")
	cmd.Dir = r.o.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("profile: %w\n%s", err, out)
	}
	cmd = exec.Command("go", "tool", "pprof", "-top", "-nodecount=10000", "-focus", `classify|translate`, "-unit", "ms", test, profile)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("pprof: %w", err)
	}
	share := make(map[string]float64)
	sum := 0.0
	for l := range strings.Lines(string(out)) {
		f := strings.Fields(l) // flat flat% sum% cum cum% function
		if len(f) < 6 || !strings.HasSuffix(f[0], "ms") {
			continue
		}
		if ms, err := strconv.ParseFloat(strings.TrimSuffix(f[0], "ms"), 64); err == nil {
			share[phase(f[5])] += ms
			sum += ms
		}
	}
	for _, name := range []string{"parse", "longest prefix", "translation", "copy", "the rest"} {
		r.add(key{Section: section, Case: "a packet's time, 1000000 prefixes", Subject: name}, "share", "%", 100*share[name]/sum)
	}
	return nil
}

// phase says which part of a packet's way a function belongs to.
func phase(function string) string {
	switch {
	case strings.HasPrefix(function, "multihop/packet."):
		return "parse"
	case strings.Contains(function, "bart"), strings.Contains(function, "router.(*ranges).lookup"), strings.Contains(function, "router.(*routeTable).Lookup"):
		return "longest prefix"
	case strings.HasPrefix(function, "multihop/nat."):
		return "translation"
	case strings.HasPrefix(function, "runtime.memmove"):
		return "copy"
	}
	return "the rest"
}
