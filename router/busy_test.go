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
	routes := l.cfg.Routes
	with := append(routes[:len(routes):len(routes)], Route{Prefix: netip.MustParsePrefix("198.18.0.0/24")})
	change := func() {
		l.cfg.Routes, with, routes = with, routes, with
		l.apply()
	}
	// Where the device gets no processor for long, the TUN's packets do not wait.
	for round := 1; ; round++ {
		without, changed := lost(func() {}), lost(change)
		if without+changed == 0 {
			break
		}
		if t.Logf("%d dropped with changes of another route, %d without", changed, without); round == 5 {
			t.Errorf("in each of %d rounds packets were dropped", round)
			break
		}
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
}
