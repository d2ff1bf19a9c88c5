package router

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// within fails the test if do does not return in time.
func within(t *testing.T, d time.Duration, what string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(d):
		t.Fatalf("%s hangs", what)
	}
}

// TestCloseEndsResolve: Apply, Close and the rest do not wait for a resolver, and
// Close ends it.
func TestCloseEndsResolve(t *testing.T) {
	asked := make(chan struct{}, 1)
	l := newLab(t, &Options{Resolve: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	l.apply()
	go func() { l.done <- l.r.Run(context.Background()) }()
	eventually(t, 5*time.Second, "running", func() bool { return len(l.r.Status().Hops) == 3 })
	l.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51820"
	l.apply()
	<-asked
	within(t, time.Second, "Apply", func() error { l.apply(); return nil })
	within(t, time.Second, "NetworkChanged", l.r.NetworkChanged)
	within(t, time.Second, "SetTUN", func() error { return l.r.SetTUN(nil) })
	within(t, time.Second, "Close", l.r.Close)
}

// TestCloseEndsStart: the first message of a hop that is being started blocks.
func TestCloseEndsStart(t *testing.T) {
	var block atomic.Bool
	block.Store(true)
	l := newBlockableLab(t, &block)
	l.cfg.Hops[0].Peers[0].Keepalive = 25 * time.Second // a message at once
	l.apply()
	go func() { l.done <- l.r.Run(context.Background()) }()
	time.Sleep(200 * time.Millisecond)
	within(t, time.Second, "Close", l.r.Close)
}

// A stillborn is a transport whose first receive functions are dead.
type stillborn struct {
	conn.Bind
	opened *atomic.Int64
}

func (b *stillborn) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	fns, port, err := b.Bind.Open(port)
	if b.opened.Add(1) == 1 {
		for i := range fns {
			fns[i] = func([][]byte, []int, []conn.Endpoint) (int, error) { return 0, net.ErrClosed }
		}
	}
	return fns, port, err
}

// TestDeathDuringStart: a receiver that dies before start returns is not
// forgotten, in a first start or a later one.
func TestDeathDuringStart(t *testing.T) {
	for _, earlier := range []error{nil, errDied} {
		l := newLab(t, nil)
		for range 40 {
			var opened atomic.Int64
			l.r.opts.Bind = func(string) conn.Bind { return &stillborn{l.net.Bind(clientAddr), &opened} }
			cfg := l.cfg.Hops[0]
			cfg.MTU = 1420
			h := newHop(l.r, cfg, nil)
			h.failed = earlier
			must(t, h.start())
			eventually(t, 10*time.Second, "the death is noted", func() bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return h.failed != nil && !errors.Is(h.failed, errDied)
			})
			h.stop()
		}
		must(t, l.r.Close())
	}
}

// TestRemovedHopsCount: what waited for a hop that is removed is counted, and
// its counters stay in the totals.
func TestRemovedHopsCount(t *testing.T) {
	var block atomic.Bool
	l := newBlockableLab(t, &block)
	l.start()
	near := nearNet.Addr().Next()
	if _, ok := l.exchange(near, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	block.Store(true)
	stop := l.flood(near)
	eventually(t, 5*time.Second, "a full ring", func() bool { return l.hop("entry").Drops["ring_full"] > 0 })
	stop()
	l.cfg.Hops, l.cfg.Routes = nil, nil
	l.apply()
	block.Store(false)
	eventually(t, 2*time.Second, "all packets are accounted for", func() bool {
		s := l.r.Status()
		sum := s.Gone
		for why, n := range s.Drops {
			if why != "send_error" { // of what had left its hop's device
				sum += n
			}
		}
		return sum == s.Read
	})
	if s := l.r.Status(); s.Drops["down"] == 0 {
		t.Fatalf("nothing waited: the test shows nothing: %+v", s)
	}
}
