package main

import (
	"math"
	"slices"
)

// A key names what is measured.
type key struct {
	Section int    `json:"section"`
	Case    string `json:"case"`    // "two hops", "8 layers", ...
	Metric  string `json:"metric"`  // "throughput up", ...
	Unit    string `json:"unit"`    // "Mbit/s", ...
	Subject string `json:"subject"` // "multihop", "wireguard-go", ...
}

// A series is what was measured of one thing, a value a round.
type series struct {
	key
	Values []float64 `json:"values"`
	Median float64   `json:"median"`
	Least  float64   `json:"min"`
	Most   float64   `json:"max"`
}

// A record is everything measured, in the order in which it came first. It is
// not safe for concurrent use.
type record struct {
	all      []*series
	index    map[key]*series
	machines map[int]machine // by section
}

func newRecord() *record {
	return &record{index: make(map[key]*series), machines: make(map[int]machine)}
}

// add notes one value. What is not a number was not measured.
func (r *record) add(k key, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	s := r.index[k]
	if s == nil {
		s = &series{key: k}
		r.index[k] = s
		r.all = append(r.all, s)
	}
	s.Values = append(s.Values, v)
	s.Median, s.Least, s.Most = median(s.Values), slices.Min(s.Values), slices.Max(s.Values)
}

// find returns the series of a section whose case and metric match; "" matches
// all.
func (r *record) find(section int, name, metric string) []*series {
	var found []*series
	for _, s := range r.all {
		if s.Section == section && (name == "" || s.Case == name) && (metric == "" || s.Metric == metric) {
			found = append(found, s)
		}
	}
	return found
}

// settled reports whether the medians of those cases (nil: all) and metrics stand
// still: without the last two rounds each differs by less than 3 %.
func (r *record) settled(section int, cases []string, metrics ...string) bool {
	for _, s := range r.all {
		if s.Section != section || cases != nil && !slices.Contains(cases, s.Case) || !slices.Contains(metrics, s.Metric) {
			continue
		}
		n := len(s.Values)
		if n < 5 {
			return false
		}
		before := median(s.Values[:n-2])
		if math.Abs(s.Median-before) > 0.03*math.Abs(before) {
			return false
		}
	}
	return true
}

func median(values []float64) float64 {
	return percentile(values, 0.5)
}

// percentile returns the p-quantile of values, 0 to 1, between the two nearest;
// not a number: there are none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	at := p * float64(len(v)-1)
	low := int(at)
	high := min(low+1, len(v)-1)
	return v[low] + (at-float64(low))*(v[high]-v[low])
}
