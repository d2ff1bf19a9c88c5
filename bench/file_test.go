package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// TestLoad: a run keeps the sections that it does not measure.
func TestLoad(t *testing.T) {
	o := &options{out: t.TempDir()}
	kept := key{Section: 2, Case: "two hops", Metric: throughput, Unit: "Mbit/s", Subject: "multihop"}
	again := key{Section: 3, Case: "4 layers", Metric: "works", Subject: "multihop"}
	before := newRecord()
	if err := before.load(o.file(), nil); err != nil {
		t.Fatalf("no file yet: %v", err)
	}
	for _, v := range []float64{3, 1, 2} {
		before.add(kept, v)
		before.add(again, v)
	}
	before.machines = map[int]machine{2: {Revision: "two"}, 3: {Revision: "three"}}
	if err := o.write(before); err != nil {
		t.Fatal(err)
	}
	after := newRecord()
	if err := after.load(o.file(), []int{3}); err != nil {
		t.Fatal(err)
	}
	if s := after.index[kept]; s == nil || !slices.Equal(s.Values, []float64{3, 1, 2}) || s.Median != 2 || s.Least != 1 || s.Most != 3 {
		t.Errorf("kept: %+v", s)
	}
	if after.machines[2].Revision != "two" || len(after.machines) != 1 {
		t.Errorf("machines of the sections that are kept: %+v", after.machines)
	}
	if s := after.index[again]; s != nil {
		t.Errorf("measured again, and yet kept: %+v", s)
	}
	if err := os.WriteFile(o.file(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newRecord().load(o.file(), nil); err == nil {
		t.Error("half a file is no error")
	}
}

func TestShare(t *testing.T) {
	const all = 32 * time.Minute
	left := all
	for i, want := range []time.Duration{3 * time.Minute, 4 * time.Minute, 14 * time.Minute, 7 * time.Minute, 4 * time.Minute} {
		got := share(left, []int{1, 2, 3, 4, 5}[i:])
		if got != want {
			t.Errorf("section %d: %v, want %v", i+1, got, want)
		}
		left -= got
	}
	if got := share(all, []int{2}); got != all {
		t.Errorf("a section alone: %v", got)
	}
	if got := share(all, []int{9}); got != 0 {
		t.Errorf("no section: %v", got)
	}
}
