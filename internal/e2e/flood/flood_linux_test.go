package flood_test

import (
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

const (
	// Bounds of the resident set.
	twoHops   = 160 << 20
	threeHops = 256 << 20

	// recovery is how soon after a flood traffic works.
	recovery = time.Second

	// patience is how long a first packet may take: two handshakes, one inside
	// the other, and a retry of each.
	patience = 12 * time.Second

	// arrived is how many packets a flood must bring to a place, at least: a
	// thousand a second, on a machine that is busy with something else.
	arrived = 20_000

	// superPacket is where wires between relays split what a relay's kernel
	// has merged: small packets would be hundreds in one.
	superPacket = 4096
)

// built is the programs under test and the folder that they are in.
type built struct {
	dir      string
	programs *e2e.Programs
}

// build compiles the programs, once for all tests.
var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "multihop-flood-")
	if err != nil {
		return built{}, err
	}
	p, err := e2e.BuildPrograms(dir)
	return built{dir, p}, err
})

func TestMain(m *testing.M) {
	code := netlab.RunAlone(m)
	if os.Geteuid() == 0 {
		if b, _ := build(); b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

func newNetwork(t *testing.T) *e2e.Network {
	t.Helper()
	netlab.Require(t)
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := e2e.NewNetwork(t, b.programs)
	for _, h := range []*netlab.Host{n.Client, n.Near, n.Far} {
		sink(t, h)
	}
	n.Entry.LimitSuperPackets("eth1", superPacket)
	return n
}

// twoHopChain routes near through the entry and far through the exit.
func twoHopChain(r *e2e.Relays) e2e.Chain {
	like := e2e.NearAddr().V4
	return e2e.Chain{
		Entry: r.EntryConf(like, "198.51.100.2/32", "203.0.113.0/25"),
		Exit:  r.ExitConf(like, "203.0.113.128/25"),
	}
}

// A goal is an address that traffic goes to, and the source that it must see.
type goal struct{ addr, source netip.Addr }

// near is behind the entry, far behind the exit.
func near() goal { return goal{e2e.NearAddr().V4, e2e.Outer().V4} }
func far() goal  { return goal{e2e.FarAddr().V4, e2e.Inner().V4} }

// answers checks that every goal answers within a time from now.
func answers(t *testing.T, n *e2e.Network, within time.Duration, goals ...goal) {
	t.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for _, g := range goals {
		wg.Go(func() {
			from, err := n.Client.Echo(g.addr, 1000, max(within, patience)) // how late it is tells more than that it is
			took := time.Since(start).Round(time.Millisecond)
			switch {
			case err != nil:
				t.Error(err)
			case from.Addr() != g.source:
				t.Errorf("%v saw %v, want %v", g.addr, from.Addr(), g.source)
			case took > within:
				t.Errorf("%v answers after %v, must within %v", g.addr, took, within)
			default:
				t.Logf("%v answers after %v", g.addr, took)
			}
		})
	}
	wg.Wait()
}

// A flood is what a test does to an instance, and what must survive it.
type flood struct {
	net     *e2e.Network
	on      *e2e.Instance
	bound   int64 // of the resident set
	senders func(t *testing.T) []*sender
	beside  []goal // which answer during the flood
	after   []goal // which answer after it
}

// run floods for floodTime and checks what must hold of every flood. It returns
// the counters before and after.
func (f flood) run(t *testing.T) (before, after *e2e.Status) {
	t.Helper()
	before = status(t, f.on)
	g := newGauge(f.on.Process)
	var flows []*flow
	for _, to := range f.beside {
		flows = append(flows, startFlow(f.net.Client, to))
	}
	start, cpu := time.Now(), f.on.CPU()
	senders := f.senders(t)
	time.Sleep(floodTime)
	var sent int64
	for _, s := range senders {
		sent += s.end()
	}
	took, busy := time.Since(start), f.on.CPU()-cpu
	answers(t, f.net, recovery, f.after...)
	for _, w := range flows {
		w.end(t)
	}
	samples := g.end()
	after = status(t, f.on)

	most := max(slices.Max(samples), f.on.PeakRSS())
	t.Logf("%.0f packets/s sent, %.0f/s read from the TUN, %.0f/s written to it, at %.2f processors",
		float64(sent)/took.Seconds(), float64(after.Read-before.Read)/took.Seconds(),
		float64(after.Wrote-before.Wrote)/took.Seconds(), busy.Seconds()/took.Seconds())
	t.Logf("resident set: %.0f MiB before, %.0f halfway, %.0f after, %.0f at most",
		mib(samples[0]), mib(samples[len(samples)/2]), mib(samples[len(samples)-1]), mib(most))
	for _, h := range after.Hops {
		t.Logf("%s: %d out, %d in, %d carried, drops %v", h.Name, h.Out, h.In, h.Carried, h.Drops)
	}
	if f.on.Exited() {
		t.Error("multihop has ended")
	}
	if most >= f.bound && !e2e.Race() { // the race detector takes several times as much
		t.Errorf("resident set: %.1f MiB, must stay under %.0f", mib(most), mib(f.bound))
	}
	return before, after
}

func status(t *testing.T, i *e2e.Instance) *e2e.Status {
	t.Helper()
	s, err := i.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
