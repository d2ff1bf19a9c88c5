package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPercentile(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		p      float64
		want   float64
	}{
		{"one", []float64{7}, 0.99, 7},
		{"odd median", []float64{3, 1, 2}, 0.5, 2},
		{"even median", []float64{4, 1, 3, 2}, 0.5, 2.5},
		{"least", []float64{3, 1, 2}, 0, 1},
		{"most", []float64{3, 1, 2}, 1, 3},
		{"between", []float64{0, 10}, 0.99, 9.9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := percentile(tt.values, tt.p); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if !math.IsNaN(percentile(nil, 0.5)) {
		t.Error("nothing measured, and yet a number")
	}
}

func TestSettled(t *testing.T) {
	r := newRecord()
	k := key{Section: 2, Case: "two hops", Metric: throughput, Unit: "Mbit/s", Subject: "multihop"}
	for i, v := range []float64{50, 100, 100, 150, 100} {
		if r.settled(2, nil, throughput) && i > 0 {
			t.Errorf("settled after %d rounds", i)
		}
		r.add(k, v)
	}
	r.add(k, math.NaN()) // was not measured
	if !r.settled(2, nil, throughput) || len(r.index[k].Values) != 5 {
		t.Errorf("not settled: %v", r.index[k].Values)
	}
	for range 4 {
		r.add(k, 500)
	}
	if r.settled(2, nil, throughput) {
		t.Errorf("settled, though the median has moved: %v", r.index[k].Values)
	}
}

// TestFigures: ratios are of the same run's medians, and judged the right way
// round.
func TestFigures(t *testing.T) {
	r := newRecord()
	rounds := enoughRounds
	add := func(section int, name, metric, unit, subject string, v float64) {
		for range rounds {
			r.add(key{section, name, metric, unit, subject}, v)
		}
	}
	add(2, "two hops", throughput+" up", "Mbit/s", "nested wireguard-go", 1000)
	add(2, "two hops", throughput+" up", "Mbit/s", "multihop", 1300)
	add(2, "two hops", yardstick+" up", "", "nested wireguard-go", 2)
	add(2, "two hops", yardstick+" up", "", "multihop", 1.5)
	add(2, "two hops", peakRSS, "MiB", "multihop", 40)
	want := map[string]string{
		"two hops, CPU (by the yardstick) / nested up":                       "MISSED",
		"two hops, throughput / nested up":                                   "reached",
		"two hops, peak RSS in MiB":                                          "aim reached",
		"two hops, client CPU / a peer up":                                   "reached, too few rounds to say",
		"23 layers work":                                                     "MISSED",
		"two hops, CPU (by the yardstick) / our own one hop up, of two runs": "MISSED, too few rounds to say",
	}
	add(2, "two hops", throughput+" up", "Mbit/s", "a peer", 500)
	rounds--
	add(2, "two hops", clientCPU+" up", "s/GiB", "a peer", 10)
	add(2, "two hops", clientCPU+" up", "s/GiB", "multihop", 4)
	add(3, "23 layers", "works", "", "multihop", 1)
	r.add(key{3, "23 layers", "works", "", "multihop"}, 0)
	add(1, "one hop", yardstick+" up", "", "multihop", 1)
	r.machines[1], r.machines[2] = machine{Revision: "one"}, machine{Revision: "two"}
	got := r.figures([]string{"multihop"})
	if len(got) != len(want) {
		t.Errorf("%d figures, want %d: %v", len(got), len(want), got)
	}
	for _, f := range got {
		if f.Subject != "multihop" || f.verdict() != want[f.Name] {
			t.Errorf("%s: %.2f is %q, want %q", f.Name, f.Value, f.verdict(), want[f.Name])
		}
	}
	var out bytes.Buffer
	r.print(&out)
	r.compare(&out, []string{"multihop"})
	for _, s := range []string{"2. two hops", "nested wireguard-go", "1300 (1300 to 1300)", "MISSED", "3. 23 layers: medians of 7 rounds", "sections 1: ", "sections 2: "} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("the report does not say %q:\n%s", s, out.String())
		}
	}
}

// TestPlots: what was measured becomes SVG files, and what was not does not.
func TestPlots(t *testing.T) {
	r := newRecord()
	for _, who := range []string{"nested wireguard-go", "multihop"} {
		for _, way := range []string{" up", " down"} {
			r.add(key{2, "two hops", throughput + way, "Mbit/s", who}, 1000)
			for _, n := range []string{"1", "8", "23"} {
				r.add(key{3, n + " layers", throughput + way, "Mbit/s", who}, 10)
			}
		}
	}
	dir := t.TempDir()
	if err := r.plot(dir); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"layers-throughput-down.svg", "layers-throughput-up.svg", "two-hops-throughput.svg"}
	if len(files) != len(want) {
		t.Fatalf("files %v, want %v", files, want)
	}
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || filepath.Base(f) != want[i] || !bytes.Contains(b, []byte("<svg")) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestParseBuild(t *testing.T) {
	tests := []struct {
		in      string
		program string
		env     string
		ok      bool
	}{
		{"a=", "", "", true},
		{"a=/x/multihop", "/x/multihop", "", true},
		{"a=/x/multihop GOGC=50 GOMAXPROCS=1", "/x/multihop", "GOGC=50 GOMAXPROCS=1", true},
		{"a=GOGC=50", "", "GOGC=50", true},
		{"=x", "", "", false},
		{"a", "", "", false},
		{"a=GOGC=50 /x/multihop", "", "", false},
	}
	for _, tt := range tests {
		b, err := parseBuild(tt.in)
		if (err == nil) != tt.ok || tt.ok && (b.name != "a" || b.program != tt.program || strings.Join(b.env, " ") != tt.env) {
			t.Errorf("%q: %+v, %v", tt.in, b, err)
		}
	}
}
