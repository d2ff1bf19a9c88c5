package router

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// A blockingBind is a transport whose Send waits, while told so, until Close:
// a socket whose buffer never drains.
type blockingBind struct {
	conn.Bind
	block *atomic.Bool

	mu   sync.Mutex
	stop chan struct{}
}

func (b *blockingBind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	b.stop = make(chan struct{})
	b.mu.Unlock()
	return b.Bind.Open(port)
}

func (b *blockingBind) Close() error {
	b.mu.Lock()
	if b.stop != nil {
		close(b.stop)
		b.stop = nil
	}
	b.mu.Unlock()
	return b.Bind.Close()
}

func (b *blockingBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	if b.block.Load() {
		b.mu.Lock()
		stop := b.stop
		b.mu.Unlock()
		if stop != nil {
			<-stop
		}
		return net.ErrClosed
	}
	return b.Bind.Send(bufs, ep)
}

// newBlockableLab returns a lab whose entry socket blocks while block is set.
func newBlockableLab(t *testing.T, block *atomic.Bool) *lab {
	var l *lab
	l = newLab(t, &Options{Bind: func(string) conn.Bind {
		return &blockingBind{Bind: l.net.Bind(clientAddr, clientAddr6), block: block}
	}})
	return l
}

// flood sends packets to both hops until the test's function returned by it is
// called.
func (l *lab) flood(dsts ...netip.Addr) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var batch [][]byte
		for i := range 64 {
			dst := dsts[i%len(dsts)]
			batch = append(batch, udp(netip.AddrPortFrom(l.tunAddr(dst), 4001), netip.AddrPortFrom(dst, 9), make([]byte, 600)))
		}
		for {
			select {
			case <-quit:
				return
			default:
				l.send(batch...)
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// TestNothingHangs: a hop's socket is blocked, so its carrier's ring is full, a
// carried hop is stalled, and another peer is silent; everything that a program
// may call answers within a second all the same.
func TestNothingHangs(t *testing.T) {
	for _, call := range []struct {
		name string
		do   func(l *lab) error
	}{
		{"Status", func(l *lab) error { l.r.Status(); return nil }},
		{"Explain", func(l *lab) error { l.r.Explain(Flow{Dst: farNet.Addr()}); return nil }},
		{"UAPI", func(l *lab) error { return l.r.UAPI("entry", io.Discard) }},
		{"UAPI of the carried hop", func(l *lab) error { return l.r.UAPI("exit", io.Discard) }},
		{"NetworkChanged", func(l *lab) error { return l.r.NetworkChanged() }},
		{"Apply of routes", func(l *lab) error {
			l.cfg.Routes[0].Hop, l.cfg.Routes[1].Hop = l.cfg.Routes[1].Hop, l.cfg.Routes[0].Hop
			l.apply()
			return nil
		}},
		{"Apply without the carried hop", func(l *lab) error {
			l.cfg.Hops = l.cfg.Hops[:1]
			l.cfg.Routes = l.cfg.Routes[1:2]
			l.apply()
			return nil
		}},
		{"Apply of a new key", func(l *lab) error {
			l.cfg.Hops[0].PrivateKey = NewPrivateKey()
			l.apply()
			return nil
		}},
		{"Resumed", func(l *lab) error { l.r.Resumed(); return nil }},
		{"SetTUN", func(l *lab) error { return l.r.SetTUN(nil) }},
		{"Close", func(l *lab) error { return l.r.Close() }},
	} {
		t.Run(call.name, func(t *testing.T) {
			var block atomic.Bool
			l := newBlockableLab(t, &block)
			l.sibling.Stop() // a silent peer
			l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: netip.MustParsePrefix("198.18.0.0/24"), Hop: "sibling"})
			l.start()
			if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
				t.Fatal("no path before the block")
			}
			defer l.flood(farNet.Addr().Next(), nearNet.Addr().Next(), netip.MustParseAddr("198.18.0.1"))()
			block.Store(true)
			defer block.Store(false)
			eventually(t, 5*time.Second, "the block is felt", func() bool {
				return l.hop("entry").Drops["ring_full"] > 0 && l.hop("exit").Drops["carrier_full"] > 0
			})
			done := make(chan error, 1)
			go func() { done <- call.do(l) }()
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(time.Second):
				t.Fatal("it hangs")
			}
		})
	}
}

// TestBlockedSocketRecovers: what blocked a socket ends, and traffic goes on.
func TestBlockedSocketRecovers(t *testing.T) {
	var block atomic.Bool
	l := newBlockableLab(t, &block)
	l.start()
	l.exchange(farNet.Addr().Next(), 10*time.Second)
	stop := l.flood(farNet.Addr().Next())
	block.Store(true)
	time.Sleep(200 * time.Millisecond)
	block.Store(false)
	must(t, l.r.NetworkChanged())
	stop()
	eventually(t, 10*time.Second, "traffic flows again", func() bool {
		_, ok := l.exchange(farNet.Addr().Next(), 300*time.Millisecond)
		return ok
	})
}
