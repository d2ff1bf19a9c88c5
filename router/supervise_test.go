package router

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// A dyingBind is a transport whose receive function fails for good while told
// so, and whose Open fails too.
type dyingBind struct {
	conn.Bind
	dead *atomic.Bool
}

var errTorn = &net.OpError{Op: "read", Err: errors.New("cable torn")}

func (b *dyingBind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	if b.dead.Load() {
		return nil, 0, errTorn
	}
	fns, port, err := b.Bind.Open(port)
	for i, fn := range fns {
		fns[i] = func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
			if b.dead.Load() {
				return 0, errTorn
			}
			return fn(bufs, sizes, eps)
		}
	}
	return fns, port, err
}

// TestDeadReceiver: a receive loop dies; the hop and what it carries are down,
// with the reason, and reject; they come back by themselves.
func TestDeadReceiver(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	var mu sync.Mutex
	var events []Event
	var l *lab
	l = newLab(t, &Options{
		Bind: func(string) conn.Bind { return &dyingBind{l.net.Bind(clientAddr, clientAddr6), &dead} },
		OnEvent: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		},
	})
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	dead.Store(true)
	l.exchange(far, 100*time.Millisecond) // its answer reaches the dead receiver
	eventually(t, 5*time.Second, "down with its reason", func() bool {
		e, x := l.hop("entry"), l.hop("exit")
		return e.Down && e.Reason == "receiving: read: cable torn" && x.Down && x.Reason == "its carrier entry is down"
	})
	if x := l.r.Explain(Flow{Dst: far}); x.Drop != "down" {
		t.Fatalf("explained as %q", x.Drop)
	}
	eventually(t, 5*time.Second, "a restart that fails", func() bool {
		e := l.hop("entry")
		return e.Down && e.Reason != "receiving: read: cable torn"
	})
	dead.Store(false)
	eventually(t, 10*time.Second, "traffic again", func() bool {
		_, ok := l.exchange(far, 300*time.Millisecond)
		return ok
	})
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []Event{{Hop: "entry", Kind: EventUp}, {Hop: "entry", Kind: EventDown, Reason: "receiving: read: cable torn"},
		{Hop: "exit", Kind: EventDown, Reason: "its carrier entry is down"}, {Hop: "exit", Kind: EventHandshake}} {
		if !slices.ContainsFunc(events, func(e Event) bool {
			return e.Hop == want.Hop && e.Kind == want.Kind && e.Reason == want.Reason && !e.Time.IsZero()
		}) {
			t.Errorf("no event %+v among %+v", want, events)
		}
	}
}

// TestDeadDevice: a device closes itself; it is replaced.
func TestDeadDevice(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"entry", "exit"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			l.start()
			far := farNet.Addr().Next()
			if _, ok := l.exchange(far, 10*time.Second); !ok {
				t.Fatal("no path")
			}
			l.r.table.Load().hop(name).port.Load().dev.Close()
			eventually(t, 5*time.Second, "noticed", func() bool {
				h := l.hop(name)
				return h.Down && h.Reason == "its device closed itself"
			})
			eventually(t, 15*time.Second, "traffic again", func() bool {
				src, ok := l.exchange(far, 300*time.Millisecond)
				return ok && src == exitTunnel
			})
		})
	}
}
