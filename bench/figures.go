package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"text/tabwriter"
)

// A figure compares multihop with something else, by medians: of one run, or its name
// says otherwise.
type figure struct {
	Name    string  `json:"name"`
	Subject string  `json:"subject"` // the multihop that is judged
	Value   float64 `json:"value"`
	Must    float64 `json:"must"`   // the bar
	Aim     float64 `json:"aim"`    // near what the architecture allows
	More    bool    `json:"more"`   // more is better
	Rounds  int     `json:"rounds"` // that the median is of
}

// enoughRounds is how many a median should be of.
const enoughRounds = 7

func (f figure) verdict() string {
	better := func(a, b float64) bool { return f.More && a >= b || !f.More && a <= b }
	said := "MISSED"
	switch {
	case better(f.Value, f.Aim):
		said = "aim reached"
	case better(f.Value, f.Must):
		said = "reached"
	}
	if f.Rounds < enoughRounds {
		said += ", too few rounds to say"
	}
	return said
}

// figures are the comparisons that what was measured allows, of these multihops
// with everything else.
func (r *record) figures(subjects []string) []figure {
	var all []figure
	var peers []string
	for _, s := range r.find(2, "two hops", throughput+" up") {
		if s.Subject != "nested wireguard-go" && !slices.Contains(subjects, s.Subject) {
			peers = append(peers, s.Subject)
		}
	}
	for _, who := range subjects {
		ratio := func(name string, a, b key, must, aim float64, more bool) {
			x, y := r.index[a], r.index[b]
			if x != nil && y != nil && y.Median != 0 {
				if !reflect.DeepEqual(r.machines[a.Section], r.machines[b.Section]) {
					name += ", of two runs"
				}
				all = append(all, figure{name, who, x.Median / y.Median, must, aim, more, min(len(x.Values), len(y.Values))})
			}
		}
		at := func(section int, name, metric, unit, subject string) key {
			return key{section, name, metric, unit, subject}
		}
		for _, way := range []string{" up", " down"} {
			two := func(metric, unit, subject string) key { return at(2, "two hops", metric+way, unit, subject) }
			one := func(metric, unit, subject string) key { return at(1, "one hop", metric+way, unit, subject) }
			ratio("two hops, CPU (by the yardstick) / nested"+way, two(yardstick, "", who), two(yardstick, "", "nested wireguard-go"), 0.72, 0.62, false)
			ratio("two hops, CPU (by the yardstick) / our own one hop"+way, two(yardstick, "", who), one(yardstick, "", who), 1.45, 1.25, false)
			ratio("two hops, throughput / nested"+way, two(throughput, "Mbit/s", who), two(throughput, "Mbit/s", "nested wireguard-go"), 1.2, 1.5, true)
			ratio("two hops, the relay's CPU / nested's"+way, two(relayCPU, "s/GiB", who), two(relayCPU, "s/GiB", "nested wireguard-go"), 1.1, 1, false)
			ratio("one hop, CPU (by the yardstick) / wireguard-go"+way, one(yardstick, "", who), one(yardstick, "", "wireguard-go"), 1.03, 0.9, false)
			ratio("one hop, the relay's CPU / wireguard-go's"+way, one(relayCPU, "s/GiB", who), one(relayCPU, "s/GiB", "wireguard-go"), 1.1, 1, false)
			ratio("one hop, throughput / wireguard-go"+way, one(throughput, "Mbit/s", who), one(throughput, "Mbit/s", "wireguard-go"), 0.97, 1.05, true)
			for _, p := range peers {
				must, aim := 0.45, 0.35 // of gotatun's multihop-router
				if way == " down" {
					must, aim = 0.6, 0.5
				}
				ratio("two hops, client CPU / "+p+way, two(clientCPU, "s/GiB", who), two(clientCPU, "s/GiB", p), must, aim, false)
			}
			for _, n := range []struct {
				layers    int
				must, aim float64
			}{{4, 2, 3}, {8, 2, 3}, {12, 5, 8}, {16, 8, 12}, {19, 8, 12}, {22, 8, 12}} {
				name := fmt.Sprintf("%d layers", n.layers)
				ratio(name+", throughput / nested"+way, at(3, name, throughput+way, "Mbit/s", who), at(3, name, throughput+way, "Mbit/s", "nested wireguard-go"), n.must, n.aim, true)
			}
		}
		ratio("two hops, RTT idle / nested", at(2, "idle", "RTT p50", "ms", who), at(2, "idle", "RTT p50", "ms", "nested wireguard-go"), 0.8, 0.7, false)
		for _, n := range []int{8, 12, 16, 19, 22} {
			name := fmt.Sprintf("%d layers", n)
			ratio(name+", RTT / nested", at(3, name, "RTT p50", "ms", who), at(3, name, "RTT p50", "ms", "nested wireguard-go"), 0.3, 0.2, false)
		}
		value := func(name string, k key, must, aim float64, more bool) {
			if s := r.index[k]; s != nil {
				all = append(all, figure{name, who, s.Median, must, aim, more, len(s.Values)})
			}
		}
		for _, n := range []int{23, 48} {
			if s := r.index[at(3, fmt.Sprintf("%d layers", n), "works", "", who)]; s != nil { // each time
				all = append(all, figure{fmt.Sprintf("%d layers work", n), who, s.Least, 1, 1, true, len(s.Values)})
			}
		}
		value("four hops idle, RSS in MiB (the bar is that of three)", at(3, "4 layers", "RSS idle", "MiB", who), 48, 24, false)
		value("two hops, peak RSS in MiB", at(2, "two hops", peakRSS, "MiB", who), 128, 48, false)
		value("small packets, peak RSS in MiB (the bar is of -flood 5m)", at(4, "two hops", "small packets, peak RSS", "MiB", who), 160, 64, false)
	}
	return append(all, r.benchFigures()...)
}

// benchFigures are those of the packages' own benchmarks.
func (r *record) benchFigures() (all []figure) {
	bench := func(unit, name string) *series { return r.index[key{5, "benchmark", "time", unit, name}] }
	for _, b := range []struct{ name, what string }{
		{"Outbound/prefixes=1000000,destinations=64", "parse, a million prefixes, translation, 64 destinations: ns a packet"},
		{"Outbound/prefixes=1000000", "the same, 4,096 destinations and packets, out of cache"},
		{"Outbound6/prefixes=1000000,destinations=64", "a million IPv6 prefixes, 64 destinations: ns a packet"},
		{"Outbound6/prefixes=1000000", "the same, 4,096 destinations and packets, out of cache"},
	} {
		if s := bench("ns/packet", "router "+b.name); s != nil {
			all = append(all, figure{b.what, "multihop", s.Median, 60, 40, false, len(s.Values)})
		}
	}
	for _, what := range []string{"bulk", "small", "mixed", "single"} {
		ours, theirs := bench("ns/datagram", "internal/udp Transfer/"+what+"/ours"), bench("ns/datagram", "internal/udp Transfer/"+what+"/std")
		if ours != nil && theirs != nil && theirs.Median != 0 {
			all = append(all, figure{"UDP sockets, " + what + ": time / StdNetBind's", "multihop", ours.Median / theirs.Median, 1, 0.9, false, min(len(ours.Values), len(theirs.Values))})
		}
	}
	return all
}

// compare prints the figures beside what they should be.
func (r *record) compare(w io.Writer, subjects []string) {
	all := r.figures(subjects)
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\t\tvalue\tmust\taim\trounds\t")
	for _, f := range all {
		fmt.Fprintf(tw, "%s\t%s\t%.2f\t%g\t%g\t%d\t%s\n", f.Name, f.Subject, f.Value, f.Must, f.Aim, f.Rounds, f.verdict())
	}
	_ = tw.Flush()
}
