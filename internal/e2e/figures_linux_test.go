package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// figureSize is what each measured transfer moves, in bytes.
const figureSize = 512 << 20

// A figure is what one transfer cost.
type figure struct {
	mbps   float64
	client float64 // CPU seconds of the client's processes per GiB
	relay  float64 // of the entry relay's, for the same transfer: the yardstick
	rss    int64   // largest resident set of the client's processes, in bytes
}

// BenchmarkTwoHops measures a TCP transfer through two hops, up and down:
// multihop against two nested wireguard-go processes, alternating, one round of
// both per iteration. It prints a table and fails nothing; run it by
//
//	go test ./internal/e2e -run '^$' -bench TwoHops -benchtime 5x
//
// The machine's speed wanders; the entry relay does the same work in every
// transfer, so client/relay is what to compare.
func BenchmarkTwoHops(b *testing.B) {
	n := newNetwork(b)
	r := n.StartRelays(b, e2e.RelayOptions{})
	like := e2e.NearAddr().V4
	all := make(map[string][]figure) // by client and direction
	for b.Loop() {
		for _, who := range []string{"nested", "multihop"} {
			for way, f := range measure(b, n, r, who, e2e.Chain{
				Entry: r.EntryConf(like, "198.51.100.2/32"), Exit: r.ExitConf(like, "203.0.113.128/25"),
			}) {
				all[who+" "+way] = append(all[who+" "+way], f)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // the time of a round says nothing
	report(b, all)
}

// measure starts a client, moves data up and down, and stops it.
func measure(b *testing.B, n *e2e.Network, r *e2e.Relays, who string, c e2e.Chain) map[string]figure {
	b.Helper()
	var clients []*netlab.Process
	if who == "nested" {
		nested := runNested(b, n, r, e2e.NearAddr().V4)
		clients = []*netlab.Process{nested.outer.Process, nested.inner.Process}
	} else {
		clients = []*netlab.Process{n.Run(b, c).Process}
	}
	far := e2e.FarAddr().V4
	if _, err := n.Client.Download(far, 16<<20, time.Minute); err != nil { // handshakes, TCP's metrics
		b.Fatal(err)
	}
	figures := make(map[string]figure)
	for _, way := range []string{"up", "down"} {
		transfer := n.Client.Upload
		if way == "down" {
			transfer = n.Client.Download
		}
		before, relay := cpu(clients), r.Entry.Process.CPU()
		done, err := transfer(far, figureSize, 5*time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		const gib = float64(figureSize) / (1 << 30)
		figures[way] = figure{
			mbps:   done.Mbps(),
			client: (cpu(clients) - before).Seconds() / gib,
			relay:  (r.Entry.Process.CPU() - relay).Seconds() / gib,
		}
	}
	var rss int64
	for _, p := range clients {
		rss += p.PeakRSS()
	}
	for way, f := range figures {
		f.rss = rss
		figures[way] = f
	}
	for _, p := range clients {
		_ = p.Stop()
	}
	return figures
}

func cpu(ps []*netlab.Process) time.Duration {
	var sum time.Duration
	for _, p := range ps {
		sum += p.CPU()
	}
	return sum
}

func report(b *testing.B, all map[string][]figure) {
	b.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "medians of %d rounds\n%-14s %8s %13s %12s %13s %8s\n", len(all["nested up"]),
		"", "Mbit/s", "client s/GiB", "relay s/GiB", "client/relay", "RSS MiB")
	for _, who := range []string{"nested up", "multihop up", "nested down", "multihop down"} {
		f := all[who]
		fmt.Fprintf(&s, "%-14s %8.0f %13.2f %12.2f %13.2f %8.0f\n", who,
			median(f, func(f figure) float64 { return f.mbps }),
			median(f, func(f figure) float64 { return f.client }),
			median(f, func(f figure) float64 { return f.relay }),
			median(f, figure.yardstick),
			median(f, func(f figure) float64 { return float64(f.rss) / (1 << 20) }))
	}
	for _, way := range []string{"up", "down"} {
		nested, multihop := all["nested "+way], all["multihop "+way]
		cpu := median(multihop, figure.yardstick) / median(nested, figure.yardstick)
		rate := func(f figure) float64 { return f.mbps }
		b.ReportMetric(cpu, "cpu-"+way)
		b.ReportMetric(median(multihop, rate)/median(nested, rate), "rate-"+way)
		fmt.Fprintf(&s, "multihop/nested, %s: CPU %.2f, throughput %.2f\n", way, cpu, median(multihop, rate)/median(nested, rate))
	}
	b.Log("\n" + s.String())
}

// yardstick is the client's CPU measured by the entry relay's.
func (f figure) yardstick() float64 { return f.client / f.relay }

func median(fs []figure, of func(figure) float64) float64 {
	values := make([]float64, len(fs))
	for i, f := range fs {
		values[i] = of(f)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
