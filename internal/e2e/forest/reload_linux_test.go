package forest_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

const (
	loadPort = 7001
	loadRate = 4 << 20 // bytes a second of each connection that is paced

	// window is how long retransmissions are counted, with reloads and without.
	window = 3 * time.Second
)

// A load is a TCP connection from the client to a site that is always full, one
// way, if need be at a pace.
type load struct {
	name           string
	client, server net.Conn
	sender         *net.TCPConn
	done           chan struct{}
}

// serveLoads makes the core take loads; each connection is handed over.
func (g *grove) serveLoads(t *testing.T) <-chan net.Conn {
	t.Helper()
	taken := make(chan net.Conn)
	ended := make(chan struct{})
	g.core.ServeTCP(t, loadPort, func(c net.Conn) {
		select {
		case taken <- c:
			<-ended
		case <-ended:
		}
	})
	t.Cleanup(func() { close(ended) })
	return taken
}

// load starts one, which ends with the test.
func (g *grove) load(t *testing.T, taken <-chan net.Conn, name string, to, from netip.Addr, up, paced bool) *load {
	t.Helper()
	l := &load{name: name, done: make(chan struct{})}
	err := g.client.Do(func() (err error) {
		l.client, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, loadPort).String(), patience)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.server = <-taken
	if seen := l.server.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(); seen != from {
		t.Fatalf("%v saw %v, want %v", to, seen, from)
	}
	source, sink := l.client, l.server
	if !up {
		source, sink = sink, source
	}
	l.sender = source.(*net.TCPConn)
	if paced {
		if err := netlab.Pace(l.sender, loadRate); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		defer close(l.done)
		_, _ = io.Copy(io.Discard, sink)
	}()
	go func() {
		block := make([]byte, 1<<16)
		for {
			if _, err := source.Write(block); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.client.Close()
		_ = l.server.Close()
		<-l.done
	})
	return l
}

// resent is how many segments of the loads were sent again while f ran.
func resent(t *testing.T, loads []*load, f func()) map[*load]int {
	t.Helper()
	count := func(sign int, into map[*load]int) {
		for _, l := range loads {
			n, err := netlab.Retransmits(l.sender)
			if err != nil {
				t.Fatal(err)
			}
			into[l] += sign * n
		}
	}
	n := make(map[*load]int)
	count(-1, n)
	f()
	count(1, n)
	return n
}

// TestReloadUnderLoad: a profile gains and loses hops and routes, and hops change
// their keys, while TCP uses other routes, at a pace or as fast as it goes. Those
// have nothing to send again that they would not have had anyway.
func TestReloadUnderLoad(t *testing.T) {
	t.Run("paced", func(t *testing.T) { reloadUnderLoad(t, true) })
	t.Run("full", func(t *testing.T) { reloadUnderLoad(t, false) })
}

func reloadUnderLoad(t *testing.T, paced bool) {
	g := newGrove(t)
	base := g.hop("base", "", g.relay("base"))
	stay := g.hop("stay", "base", g.relay("stay"))
	other := g.hop("other", "base", g.relay("other"))
	more := g.hop("more", "stay", g.relay("more"))
	base.routes, stay.routes, other.routes, more.routes = only(1), only(2), only(3), only(4)
	g.startRelays(t)
	i := start(t, g.client, g.programs, g.profile(t, base, stay, other))
	for n, h := range map[int]*hop{1: base, 2: stay, 3: other} {
		g.answered(t, site(n).V4, h.addrs.V4)
	}
	reload := func(hops ...*hop) {
		g.profile(t, hops...)
		if out, err := i.command("reload", tun); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	gone := func(n int) {
		if from, err := g.client.Echo(site(n).V4, 100, 300*time.Millisecond); err == nil && from.Addr() != clientAddr().V4 {
			t.Errorf("site %d is reached, from %v, though no route leads there", n, from)
		}
	}
	taken := g.serveLoads(t)
	var loads []*load
	for n, h := range map[int]*hop{1: base, 2: stay} {
		for _, a := range site(n).Both() {
			up := a.Is4() == (h == base)
			loads = append(loads, g.load(t, taken, fmt.Sprintf("%s, %v, up %v", h.name, a, up), a, h.addrs.Of(a), up, paced))
		}
	}
	time.Sleep(time.Second)

	// The detector: a moment of silence is seen.
	lost := resent(t, loads, func() {
		g.cut(t, base.relay, true)
		time.Sleep(500 * time.Millisecond)
		g.cut(t, base.relay, false)
		time.Sleep(time.Second)
	})
	for _, l := range loads {
		if lost[l] == 0 {
			t.Errorf("detector: %s had nothing to send again after an interruption", l.name)
		}
	}

	const rounds = 3 // what a busy machine does to TCP by itself, it does not do each time
	for round := 1; ; round++ {
		without := resent(t, loads, func() { time.Sleep(window) })
		reloads := 0
		with := resent(t, loads, func() {
			for begun := time.Now(); time.Since(begun) < window; reloads += 4 {
				key, routes := other.key, other.routes
				reload(base, stay, other, more) // a hop inside a busy one
				g.answered(t, site(4).V4, more.addrs.V4)
				other.routes = only(3) + ", " + only(5) // a route
				reload(base, stay, other, more)
				g.answered(t, site(5).V4, other.addrs.V4)
				reload(base, stay) // neither
				gone(4)
				other.key, other.routes = netlab.NewKey(), routes // another key, then the old one again
				reload(base, stay, other)
				other.key = key
				reload(base, stay, other)
				g.answered(t, site(3).V4, other.addrs.V4)
			}
		})
		worse := false
		for _, l := range loads {
			t.Logf("%s: sent again %d segments with %d reloads, %d without", l.name, with[l], reloads, without[l])
			worse = worse || with[l] > without[l]
		}
		if !worse {
			break
		}
		if round == rounds {
			t.Errorf("in each of %d rounds, flows beside had to send again because of reloads", rounds)
			break
		}
	}
	for _, n := range []int{1, 2} {
		if from, err := g.client.Echo(site(n).V4, 100, patience); err != nil || from.Addr() != map[int]e2e.Pair{1: base.addrs, 2: stay.addrs}[n].V4 {
			t.Errorf("site %d saw %v, %v", n, from, err)
		}
	}
}
