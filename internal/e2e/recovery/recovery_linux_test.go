package recovery_test

import (
	"flag"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

const (
	// within is how soon after its relay's return a hop works again.
	within = 25 * time.Second

	// A relay that was dead for a short time finds clients that still have a
	// session with it; after a long one they have given up: wireguard-go stops
	// asking for a handshake after 90 s.
	short = 10 * time.Second
	long  = 3 * time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests sleep: all of them at once, however few processors there are.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestRelayReturns kills a relay, starts it again with the same keys and no
// sessions, and waits for the traffic to come back by itself. Meanwhile what
// was routed through the dead hop goes nowhere: least of all out at the entry.
func TestRelayReturns(t *testing.T) {
	netlab.Require(t)
	programs, err := e2e.BuildPrograms(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		entry bool // it is the entry that dies
		idle  bool // nobody sends while it is dead
		away  []time.Duration
	}{
		{"exit", false, false, []time.Duration{short, long}},
		{"entry", true, false, []time.Duration{short, long}},
		{"exit, idle", false, true, []time.Duration{long}},
		{"entry, idle", true, true, []time.Duration{long}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := e2e.NewNetwork(t, programs)
			r := n.StartRelays(t, e2e.RelayOptions{})
			like := e2e.NearAddr().V4
			w := n.Watch(t, r, like, e2e.WatchOptions{Direct: e2e.NearAddr().Both()})
			w.Prove(t)
			n.Run(t, e2e.Chain{
				Entry: r.EntryConf(like, "198.51.100.2/32", "203.0.113.0/25", "2001:db8:3::/64"),
				Exit:  r.ExitConf(like, "203.0.113.128/25", "2001:db8:4::/64"),
			})
			comesBack(t, n, 0)
			for _, away := range tt.away {
				w = dies(t, n, r, w, tt.entry, tt.idle, away)
			}
		})
	}
}

// dies takes a relay away for a while and waits for what it carries. It returns
// the watch to go on with.
func dies(t *testing.T, n *e2e.Network, r *e2e.Relays, w *e2e.Watch, entry, idle bool, away time.Duration) *e2e.Watch {
	t.Helper()
	relay := r.Exit
	if entry {
		relay = r.Entry
	}
	relay.Kill()
	probes := probe(n, idle)
	time.Sleep(away)
	near, far := probes.stop()
	if far != 0 {
		t.Errorf("away for %v: far answered %d times", away, far)
	}
	switch {
	case idle:
	case entry && near != 0:
		t.Errorf("away for %v: near answered %d times without the entry", away, near)
	case !entry && near < int(away/time.Second)/2:
		t.Errorf("away for %v: near answered only %d times: the exit's death hurt the entry's routes", away, near)
	}
	w.Check(t)
	relay.Start()
	if entry { // whose tunnel has a new interface
		w = n.Watch(t, r, e2e.NearAddr().V4, e2e.WatchOptions{Direct: e2e.NearAddr().Both()})
		w.Prove(t)
	}
	comesBack(t, n, away)
	w.Check(t)
	return w
}

// comesBack waits until far and near answer, in both families.
func comesBack(t *testing.T, n *e2e.Network, away time.Duration) {
	t.Helper()
	start := time.Now()
	for _, addr := range []struct{ target, want e2e.Pair }{
		{e2e.FarAddr(), e2e.Inner()}, {e2e.NearAddr(), e2e.Outer()},
	} {
		for _, a := range addr.target.Both() {
			from, err := n.Client.Echo(a, 1000, time.Until(start.Add(within)))
			if err != nil {
				t.Errorf("away for %v, %v after the return: %v", away, time.Since(start).Round(time.Second), err)
			} else if from.Addr() != addr.want.Of(a) {
				t.Errorf("%v saw %v, want %v", a, from.Addr(), addr.want.Of(a))
			}
		}
	}
	t.Logf("away for %v: works %v after the return", away, time.Since(start).Round(100*time.Millisecond))
}

// probes send to near and far all the time.
type probes struct {
	wg        sync.WaitGroup
	done      chan struct{}
	near, far atomic.Int64 // answers
}

func probe(n *e2e.Network, idle bool) *probes {
	p := &probes{done: make(chan struct{})}
	if idle {
		return p
	}
	run := func(addr netip.Addr, count *atomic.Int64) {
		p.wg.Go(func() {
			for {
				if _, err := n.Client.Echo(addr, 100, 500*time.Millisecond); err == nil {
					count.Add(1)
				}
				select {
				case <-p.done:
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
	for _, a := range e2e.NearAddr().Both() {
		run(a, &p.near)
	}
	for _, a := range e2e.FarAddr().Both() {
		run(a, &p.far)
	}
	return p
}

func (p *probes) stop() (near, far int) {
	close(p.done)
	p.wg.Wait()
	return int(p.near.Load()), int(p.far.Load())
}
