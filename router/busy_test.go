package router

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// A slowBind sends 10,000 packets a second, once it is slow.
type slowBind struct {
	conn.Bind
	mu   sync.Mutex
	slow *atomic.Bool
}

func (b *slowBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	if b.slow.Load() {
		b.mu.Lock()
		time.Sleep(time.Duration(len(bufs)) * 100 * time.Microsecond)
		b.mu.Unlock()
	}
	return b.Bind.Send(bufs, ep)
}

// TestApplySparesBusy: a hop whose ring is always full makes the TUN wait, and
// loses nothing, while routes of others change.
func TestApplySparesBusy(t *testing.T) {
	var slow atomic.Bool
	var l *lab
	l = newLab(t, &Options{Bind: func(string) conn.Bind {
		return &slowBind{Bind: l.net.Bind(clientAddr, clientAddr6), slow: &slow}
	}})
	l.start()
	l.ready()
	slow.Store(true)
	defer l.flood(nearNet.Addr().Next())()
	time.Sleep(time.Second)
	lost := func(f func()) uint64 {
		before := l.hop("entry").Drops["ring_full"]
		for range 5 {
			f()
			time.Sleep(200 * time.Millisecond)
		}
		return l.hop("entry").Drops["ring_full"] - before
	}
	if n := lost(func() {}); n != 0 {
		t.Fatalf("%d dropped without changes", n)
	}
	if n := lost(func() {
		l.r.hurried.Store(true) // the reader does not wait
		l.r.table.Load().hop("entry").port.Load().in.Wake()
		l.r.routing.Lock()
		l.r.hurried.Store(false)
		l.r.routing.Unlock()
	}); n == 0 {
		t.Error("detector: nothing was dropped by a reader in a hurry")
	}
	time.Sleep(200 * time.Millisecond) // that stall ends
	routes := l.cfg.Routes
	with := append(routes[:len(routes):len(routes)], Route{Prefix: netip.MustParsePrefix("198.18.0.0/24")})
	if n := lost(func() {
		l.cfg.Routes, with, routes = with, routes, with
		l.apply()
	}); n != 0 {
		t.Errorf("%d dropped by changes of another route", n)
	}
}
