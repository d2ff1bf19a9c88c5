package flood_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"multihop/internal/netlab"
)

const sampleEvery = 100 * time.Millisecond

// A gauge samples the resident set of a process.
type gauge struct {
	p       *netlab.Process
	stop    chan struct{}
	done    chan struct{}
	samples []int64 // bytes; the gauge's own until done
}

func newGauge(p *netlab.Process) *gauge {
	g := &gauge{p: p, stop: make(chan struct{}), done: make(chan struct{})}
	go g.run()
	return g
}

func (g *gauge) run() {
	defer close(g.done)
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		g.samples = append(g.samples, residentSet(g.p.PID()))
		select {
		case <-t.C:
		case <-g.stop:
			return
		}
	}
}

// end stops the gauge and returns its samples.
func (g *gauge) end() []int64 {
	close(g.stop)
	<-g.done
	return g.samples
}

// residentSet returns a process's VmRSS in bytes; 0: it has ended.
func residentSet(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "VmRSS:" {
			kib, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// TestGauge watches a process that takes 96 MiB after a while.
func TestGauge(t *testing.T) {
	const size = 96 << 20
	h := netlab.New(t).Host("glutton")
	// Bytes are read into a buffer of the size of a block.
	p := h.Start(t, nil, "sh", "-c", "sleep 0.5; exec dd if=/dev/zero of=/dev/null bs=96M")
	g := newGauge(p)
	time.Sleep(2 * time.Second)
	samples := g.end()
	if len(samples) < 10 {
		t.Fatalf("%d samples in 2 s", len(samples))
	}
	if first := samples[0]; first == 0 || first > size/4 {
		t.Errorf("%.1f MiB before it took any", mib(first))
	}
	if most := slices.Max(samples); most < size || most > size+size/4 {
		t.Errorf("%.1f MiB at most, want %.1f", mib(most), mib(size))
	}
}
