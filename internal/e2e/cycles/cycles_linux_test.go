package cycles_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

var builds host.Builds

func TestMain(m *testing.M) { os.Exit(builds.Main(m)) }

const (
	// cycles is how often the instance is killed; MULTIHOP_CYCLES in the
	// environment overrides it.
	cycles = 200

	// limit is how long all of them may take: the tests of a package have five
	// minutes.
	limit = 4 * time.Minute

	startTime = 30 * time.Second
)

func count(t *testing.T) int {
	s := os.Getenv("MULTIHOP_CYCLES")
	if s == "" {
		return cycles
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("MULTIHOP_CYCLES: %v", err)
	}
	return n
}

// TestCycles kills the process by SIGKILL while traffic of every kind runs, and
// starts it again, each time at another moment of its life.
func TestCycles(t *testing.T) {
	n := builds.Network(t)
	r := n.StartRelays(t)
	inside := n.Flows()
	outside := slices.Concat(n.BoundFlows(), n.ResolverFlows(), n.EndpointFlows())
	u := n.WatchUplink(t, slices.Concat(inside, outside), host.UplinkOptions{})
	traffic, others := n.Traffic(t, inside...), n.Traffic(t, outside...)

	traffic.Flow(t, 3, startTime)
	others.Run(t, time.Second)
	u.Every(t, inside, "detector")
	u.Every(t, outside, "detector")
	before := n.State(t)

	a := host.EntryAddr().V4
	const everything = "0.0.0.0/0, ::/0"
	i := n.Chain(t, "mh0", []host.File{r.EntryFile(a, everything), r.ExitFile(a, everything)})
	i.Up(t)
	traffic.Flow(t, 1, startTime)
	up := n.State(t)

	u.Mark(t)
	start := time.Now()
	worked := 0
	for k := range count(t) {
		if time.Since(start) > limit {
			t.Fatalf("only %d cycles in %v", k, limit)
		}
		i.Kill(t)
		i.Up(t)
		// From at once after up to long after the handshakes.
		time.Sleep(time.Duration(k%8) * 50 * time.Millisecond)
		if k%16 == 15 {
			traffic.Flow(t, 1, startTime)
			worked++
		}
		if k%32 == 31 {
			u.None(t, "cycle "+strconv.Itoa(k+1))
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d cycles in %v, traffic in %d of them", count(t), time.Since(start).Round(time.Second), worked)
	traffic.Flow(t, 3, startTime)
	u.None(t, "cycles")
	n.Same(t, up, "after many cycles") // as after the first up: nothing has piled up
	if left := n.Host.Processes(n.Programs.Multihop); len(left) != 1 {
		t.Errorf("%d processes run, want 1", len(left))
	}
	i.Down(t)
	n.Same(t, before, "after down")
	if log := i.Log(); strings.Contains(log, "panic") {
		t.Error("a panic in the log")
	}
	u.Mark(t)
	traffic.Flow(t, 3, startTime)
	u.Every(t, inside, "after down")
}
