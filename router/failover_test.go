package router

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/memnet"
)

// Two entries and two exits: each exit is carried by whichever entry serves.
var (
	entry2Addr   = netip.MustParseAddr("192.0.2.11")
	entry2Tunnel = netip.MustParseAddr("10.1.1.2")
)

// A pair is a lab with a group of entries and one of exits.
type pair struct {
	*lab
	events eventLog
	entry2 *memnet.Relay
}

func newPair(t *testing.T, probe bool) *pair {
	t.Helper()
	p := &pair{}
	p.lab = newLab(t, &Options{OnEvent: p.events.add})
	var err error
	p.entry2, err = p.net.NewRelay("entry2", []netip.Addr{entry2Addr}, &memnet.RelayOptions{MTU: 1420})
	must(t, err)
	must(t, p.entry2.Start())
	t.Cleanup(p.entry2.Stop)
	key := NewPrivateKey()
	must(t, p.entry2.Add(memnet.Client{PublicKey: key.Public(), Addrs: []netip.Addr{entry2Tunnel}, AllowedIPs: everything}))
	entry2 := Hop{Name: "entry2", PrivateKey: key, Addrs: []netip.Addr{entry2Tunnel}, Peers: []Peer{{
		PublicKey: p.entry2.PublicKey(), Endpoint: p.entry2.Endpoint().String(), AllowedIPs: everything,
	}}}
	p.cfg.Hops = append(p.cfg.Hops, entry2)
	p.cfg.Hops[1].Via, p.cfg.Hops[2].Via = "in", "in"
	in := Group{Name: "in", Hops: []string{"entry", "entry2"}, Quiet: 2 * time.Second, Patience: 8 * time.Second, Return: 10 * time.Second}
	out := Group{Name: "out", Hops: []string{"exit", "sibling"}, Quiet: 2 * time.Second, Patience: 8 * time.Second, Return: 10 * time.Second}
	if probe {
		site, err := p.net.StartSite("probed", netip.MustParseAddr("203.0.114.1"))
		must(t, err)
		t.Cleanup(func() { must(t, site.Close()) })
		out.Probe, out.Patience = netip.MustParseAddr("203.0.114.1"), 3*time.Second
	}
	p.cfg.Groups = []Group{in, out}
	p.cfg.Routes = []Route{{Prefix: farNet, Hop: "out"}, {Prefix: nearNet, Hop: "in"}}
	return p
}

func (p *pair) group(name string) GroupStatus {
	for _, g := range p.r.Status().Groups {
		if g.Name == name {
			return g
		}
	}
	p.t.Fatalf("no group %s", name)
	return GroupStatus{}
}

// switches returns the hops that took over in a group, in order.
func (p *pair) switches(group string) (to []string) {
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	for _, e := range p.events.list {
		if e.Kind == EventFailover && e.Group == group {
			to = append(to, e.Hop)
		}
	}
	return to
}

// through waits until packets to dst arrive from src.
func (p *pair) through(t *testing.T, dst, src netip.Addr, d time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	eventually(t, d, "packets to "+dst.String()+" arrive from "+src.String(), func() bool {
		got, ok := p.exchange(dst, 300*time.Millisecond)
		return ok && got == src
	})
	return time.Since(start)
}

// TestFailover: a hop of a group dies in one way or another; the other takes
// over, the right one is blamed, and nothing else moves.
func TestFailover(t *testing.T) {
	t.Parallel()
	far, near := farNet.Addr().Next(), nearNet.Addr().Next()
	for _, tt := range []struct {
		name    string
		die     func(p *pair)
		group   string
		other   string // the group that must not move
		far     netip.Addr
		near    netip.Addr
		blamed  string
		why     string
		probing bool
	}{
		{"the entry's process stops", func(p *pair) { p.entry.Stop() }, "in", "out", exitTunnel, entry2Tunnel,
			"entry", "hop entry: it does not answer handshakes", false},
		{"the exit's process stops", func(p *pair) { p.exit.Stop() }, "out", "in", siblingTunnel, entryTunnel,
			"exit", "hop exit: it does not answer handshakes, though its carrier entry does", false},
		{"the exit drops silently", func(p *pair) {
			p.exit.Outside().Divert(func([]byte) [][]byte { return nil })
		}, "out", "in", siblingTunnel, entryTunnel, "exit", "hop exit: it does not answer handshakes, though its carrier entry does", false},
		{"the exit refuses the key", func(p *pair) {
			p.exit.Stop()
			must(t, p.exit.Add(memnet.Client{PublicKey: p.cfg.Hops[1].PrivateKey.Public(), PresharedKey: NewPresharedKey(),
				Addrs: p.cfg.Hops[1].Addrs, AllowedIPs: everything}))
			must(t, p.exit.Start())
		}, "out", "in", siblingTunnel, entryTunnel, "exit", "hop exit: it does not answer handshakes, though its carrier entry does", false},
		{"the exit does not forward", func(p *pair) {
			p.exit.Inside().Divert(func([]byte) [][]byte { return nil })
		}, "out", "in", siblingTunnel, entryTunnel, "exit", "hop exit: 203.0.114.1 does not answer through it, though its carrier entry does", true},
		{"the exit is taken down", func(p *pair) {
			p.cfg.Hops[1].Down = true
			p.apply()
		}, "out", "in", siblingTunnel, entryTunnel, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			p := newPair(t, tt.probing)
			p.start()
			p.through(t, far, exitTunnel, 10*time.Second)
			p.through(t, near, entryTunnel, 10*time.Second)
			defer p.trickle(far)()
			tt.die(p)
			took := p.through(t, far, tt.far, 60*time.Second)
			t.Logf("recovered after %v", took)
			p.through(t, near, tt.near, 20*time.Second)
			g := p.group(tt.group)
			if tt.blamed != "" && (g.Reason != tt.why || g.Since.IsZero()) {
				t.Errorf("%+v", g)
			}
			if got := p.switches(tt.other); len(got) != 0 {
				t.Errorf("group %s moved to %v", tt.other, got)
			}
			if got := p.switches(tt.group); tt.blamed != "" && len(got) != 1 {
				t.Errorf("group %s moved to %v", tt.group, got)
			}
		})
	}
}

// TestFailoverKeepsSession: the exit keeps its session when its entry changes.
func TestFailoverKeepsSession(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	p.start()
	far := farNet.Addr().Next()
	p.through(t, far, exitTunnel, 10*time.Second)
	dev := p.r.table.Load().hop("exit").port.Load().dev
	p.cfg.Hops[0].Down = true
	exit := countHandshakes(p.exit)
	p.apply()
	if src, ok := p.exchange(far, 10*time.Second); !ok || src != exitTunnel {
		t.Fatalf("the host saw %v (%v)", src, ok)
	}
	if exit.Load() != 0 {
		t.Errorf("%d handshake messages", exit.Load())
	}
	if h := p.hop("exit"); h.Via != "entry2" || h.ViaGroup != "in" || h.Down {
		t.Errorf("%+v", h)
	}
	if p.r.table.Load().hop("exit").port.Load().dev != dev {
		t.Error("its device was replaced")
	}
	if n := decapsulated(p.entry2, exitAddr); n == 0 {
		t.Error("nothing went through the second entry")
	}
}

// TestFlapping: a preferred hop that comes and goes does not make its group do
// so; one that stays takes over again.
func TestFlapping(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	p := newPair(t, false)
	p.start()
	far := farNet.Addr().Next()
	p.through(t, far, exitTunnel, 10*time.Second)
	defer p.trickle(far)()
	p.exit.Stop()
	p.through(t, far, siblingTunnel, 60*time.Second)
	for range 2 {
		must(t, p.exit.Start())
		time.Sleep(4 * time.Second)
		p.exit.Stop()
		time.Sleep(9 * time.Second)
	}
	if got := p.switches("out"); !slices.Equal(got, []string{"sibling"}) {
		t.Fatalf("the group moved to %v", got)
	}
	must(t, p.exit.Start())
	p.through(t, far, exitTunnel, 60*time.Second)
	if got := p.switches("out"); !slices.Equal(got, []string{"sibling", "exit"}) {
		t.Errorf("the group moved to %v", got)
	}
	if g := p.group("out"); g.Reason != "hop exit is preferred, and answers again" || g.Hops[0].Health != HealthGood {
		t.Errorf("%+v", g)
	}
	if got := p.switches("in"); len(got) != 0 {
		t.Errorf("the entries moved to %v", got)
	}
}

// TestAllSilent: when nobody answers, nothing moves.
func TestAllSilent(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	p.start()
	far := farNet.Addr().Next()
	p.through(t, far, exitTunnel, 10*time.Second)
	defer p.trickle(far)()
	p.entry.Stop()
	p.entry2.Stop()
	eventually(t, 40*time.Second, "the entry is found silent", func() bool {
		return p.group("in").Hops[0].Health == HealthSilent
	})
	if g := p.group("out"); g.Hops[0].Health != HealthDoubt || g.Hops[0].Reason != "its carrier entry is not heard either" {
		t.Errorf("%+v", g)
	}
	if a, b := p.switches("in"), p.switches("out"); len(a)+len(b) != 0 {
		t.Errorf("moved to %v and %v", a, b)
	}
	must(t, p.entry.Start())
	p.through(t, far, exitTunnel, 60*time.Second)
}

// TestSwitchKeepsOthers: while a group switches, packets of other routes all
// arrive.
func TestSwitchKeepsOthers(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	p.cfg.Routes = append(p.cfg.Routes, Route{Prefix: netip.MustParsePrefix("203.0.113.128/25"), Hop: "entry"})
	p.start()
	far, near := farNet.Addr().Next(), netip.MustParseAddr("203.0.113.200")
	p.through(t, far, exitTunnel, 10*time.Second)
	p.through(t, near, entryTunnel, 10*time.Second)
	before := decapsulated(p.entry, near)
	var sent atomic.Int64
	quit, done := make(chan struct{}), make(chan struct{})
	inside := func() int64 { return sent.Load() - int64(decapsulated(p.entry, near)-before) }
	go func() {
		defer close(done)
		pkt := udp(netip.AddrPortFrom(entryTunnel, 4001), netip.AddrPortFrom(near, 9), make([]byte, 200))
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
			}
			if inside() < 64 { // less than what overflows where the device gets no processor
				p.send(pkt)
				sent.Add(1)
			}
		}
	}()
	p.exit.Stop()
	p.through(t, far, siblingTunnel, 60*time.Second)
	close(quit)
	<-done
	if !happens(5*time.Second, func() bool { return inside() == 0 }) {
		t.Errorf("%d packets of %d did not arrive; drops %v", inside(), sent.Load(), p.hop("entry").Drops)
	}
}
