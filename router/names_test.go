package router

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// A nameserver answers look-ups as a test says.
type nameserver struct {
	mu    sync.Mutex
	addrs map[string][]netip.Addr
	asked []string // hop and host
}

func (n *nameserver) set(host string, addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = make(map[string][]netip.Addr)
	}
	n.addrs[host] = addrs
}

func (n *nameserver) times(question string) (k int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, q := range n.asked {
		if q == question {
			k++
		}
	}
	return k
}

func (n *nameserver) resolve(_ context.Context, hop, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, hop+" "+host)
	if addrs := n.addrs[host]; len(addrs) > 0 {
		return addrs, nil
	}
	return nil, errors.New("no such host")
}

// An eventLog keeps events.
type eventLog struct {
	mu   sync.Mutex
	list []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

func (l *eventLog) has(match func(Event) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, match)
}

// TestNameAtStart: a name that is not found keeps its hop without an endpoint,
// and says so; the other hops work; once it is found, so does the hop.
func TestNameAtStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hop        string
		host       string
		addr       netip.Addr
		dst, other netip.Addr
	}{
		{"entry", "entry.example", entryAddr, nearNet.Addr().Next(), netip.Addr{}},
		{"exit", "exit.example", exitAddr, farNet.Addr().Next(), nearNet.Addr().Next()},
	} {
		t.Run(tt.hop, func(t *testing.T) {
			t.Parallel()
			var names nameserver
			var events eventLog
			l := newLab(t, &Options{Resolve: names.resolve, OnEvent: events.add})
			for i := range l.cfg.Hops {
				if l.cfg.Hops[i].Name == tt.hop {
					l.cfg.Hops[i].Peers[0].Endpoint = tt.host + ":51820"
				}
			}
			l.start()
			l.ready()
			if tt.other.IsValid() {
				if _, ok := l.exchange(tt.other, 10*time.Second); !ok {
					t.Fatal("the other hop does not work")
				}
			}
			var peer PeerStatus
			eventually(t, 5*time.Second, "the reason", func() bool {
				peer = l.hop(tt.hop).Peers[0]
				return peer.EndpointError != ""
			})
			if peer.EndpointName != tt.host+":51820" || peer.EndpointError != "looking up "+tt.host+": no such host" || peer.Endpoint != "" {
				t.Errorf("%+v", peer)
			}
			if l.hop(tt.hop).Down {
				t.Error("the hop is down")
			}
			l.send(udp(netip.AddrPortFrom(l.tunAddr(tt.dst), 4000), netip.AddrPortFrom(tt.dst, 7), []byte("waits")))
			eventually(t, 5*time.Second, "it was asked again", func() bool { return names.times(tt.hop+" "+tt.host) > 1 })
			names.set(tt.host, tt.addr)
			eventually(t, 10*time.Second, "what waited arrives", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.seen["waits"].IsValid()
			})
			if _, ok := l.exchange(tt.dst, 5*time.Second); !ok {
				t.Fatal("no path")
			}
			at := netip.AddrPortFrom(tt.addr, 51820)
			eventually(t, 5*time.Second, "the status", func() bool {
				p := l.hop(tt.hop).Peers[0]
				return p.Endpoint == at.String() && p.EndpointError == "" && !p.LatestHandshake.IsZero()
			})
			eventually(t, 5*time.Second, "an event says so", func() bool {
				return events.has(func(e Event) bool {
					return e.Kind == EventResolved && e.Hop == tt.hop && e.Endpoint == at && e.Peer == peer.PublicKey
				})
			})
			asked := names.times(tt.hop + " " + tt.host)
			l.apply()
			time.Sleep(1200 * time.Millisecond)
			if n := names.times(tt.hop + " " + tt.host); n != asked {
				t.Errorf("asked %d times more without need", n-asked)
			}
		})
	}
}

// TestNameMoves: a peer falls silent, and its name has another address by then.
// Handshake initiations go to both; whichever answers is used from then on.
func TestNameMoves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		first, second netip.Addr // of the name; the exit is at exitAddr
	}{
		{"the new address answers", siblingAddr, exitAddr},
		{"the old address answers", exitAddr, siblingAddr},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			moves := tt.second == exitAddr
			var names nameserver
			var events eventLog
			l := newLab(t, &Options{Resolve: names.resolve, OnEvent: events.add})
			l.r.stale = 3 * time.Second
			names.set("exit.example", tt.first)
			l.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51820"
			l.start()
			far := farNet.Addr().Next()
			if !moves {
				if _, ok := l.exchange(far, 10*time.Second); !ok {
					t.Fatal("no path")
				}
				l.exit.Stop()
			}
			received := func(a netip.Addr) *atomic.Int64 {
				var n atomic.Int64
				l.net.Host(a).Tap(func(sent bool, _ []byte) {
					if !sent {
						n.Add(1)
					}
				})
				return &n
			}
			old, fresh := received(tt.first), received(tt.second)
			defer l.trickle(far)()
			eventually(t, 10*time.Second, "the old address is tried", func() bool { return old.Load() > 0 })
			if fresh.Load() != 0 {
				t.Fatal("the new address was tried before the name had it")
			}
			names.set("exit.example", tt.second)
			eventually(t, 30*time.Second, "the new address is tried", func() bool { return fresh.Load() > 0 })
			if !moves {
				before := old.Load()
				eventually(t, 10*time.Second, "the old address is tried too", func() bool { return old.Load() > before })
				must(t, l.exit.Start())
			}
			eventually(t, 30*time.Second, "traffic", func() bool {
				_, ok := l.exchange(far, 500*time.Millisecond)
				return ok
			})
			want := netip.AddrPortFrom(exitAddr, 51820).String()
			eventually(t, 5*time.Second, "the status", func() bool { return l.hop("exit").Peers[0].Endpoint == want })
			roamed := func() bool {
				return events.has(func(e Event) bool { return e.Kind == EventRoam && e.Hop == "exit" && e.Endpoint.String() == want })
			}
			if moves {
				eventually(t, 5*time.Second, "an event says that it roamed", roamed)
			} else if roamed() {
				t.Error("an event says that it roamed")
			}
			eventually(t, 5*time.Second, "no other address is tried any more", func() bool {
				return l.r.table.Load().hop("exit").port.Load().seeker.more.Load() == nil
			})
		})
	}
}

// trickle sends a packet now and then until stop.
func (l *lab) trickle(dst netip.Addr) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		pkt := udp(netip.AddrPortFrom(l.tunAddr(dst), 4001), netip.AddrPortFrom(dst, 9), make([]byte, 100))
		for {
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
				l.send(pkt)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// TestNameOutsideCarrier: an address that the carrier would drop is none.
func TestNameOutsideCarrier(t *testing.T) {
	var names nameserver
	l := newLab(t, &Options{Resolve: names.resolve})
	names.set("exit.example", netip.MustParseAddr("192.0.2.99"), exitAddr)
	l.cfg.Hops[0].Peers[0].AllowedIPs = []netip.Prefix{netip.PrefixFrom(exitAddr, 32), nearNet}
	l.cfg.Hops = l.cfg.Hops[:2]
	l.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51820"
	l.start()
	if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
		t.Fatal("no path")
	}
	names.set("exit.example", netip.MustParseAddr("192.0.2.99"))
	l.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51821"
	l.apply()
	eventually(t, 5*time.Second, "the reason", func() bool {
		return l.hop("exit").Peers[0].EndpointError == "exit.example has no address that hop entry reaches: none is in its AllowedIPs and of a family that it has an address of"
	})
	if p := l.hop("exit").Peers[0]; p.Endpoint != netip.AddrPortFrom(exitAddr, 51820).String() {
		t.Errorf("the old address is gone: %+v", p)
	}
}

// TestSameAddress: a name with several addresses, told in turns, does not move a
// peer that answers.
func TestSameAddress(t *testing.T) {
	var names nameserver
	l := newLab(t, &Options{Resolve: names.resolve})
	other := netip.MustParseAddr("192.0.2.99")
	names.set("exit.example", exitAddr, other)
	l.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51820"
	l.start()
	if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
		t.Fatal("no path")
	}
	exit := countHandshakes(l.exit)
	for i := range 3 {
		names.set("exit.example", []netip.Addr{other, exitAddr}[i%2])
		l.apply()
		must(t, l.r.NetworkChanged())
		if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
			t.Fatal("no path")
		}
	}
	if n := exit.Load(); n != 0 {
		t.Errorf("%d handshake messages", n)
	}
}

// TestLookupBackoff: it grows, has an end, and is not the same for all.
func TestLookupBackoff(t *testing.T) {
	different := false
	for n := 1; n < 40; n++ {
		want := min(time.Second<<min(n-1, 16), time.Minute)
		first := lookupBackoff(n, time.Second, time.Minute)
		for range 20 {
			d := lookupBackoff(n, time.Second, time.Minute)
			if d < want*4/5 || d > want*6/5+1 {
				t.Fatalf("after %d look-ups %v, want about %v", n, d, want)
			}
			different = different || d != first
		}
	}
	if !different {
		t.Error("no jitter")
	}
}

// TestSeeker: initiations, and nothing else, go to the other addresses too.
func TestSeeker(t *testing.T) {
	rec := &recordBind{}
	s := &seeker{Bind: rec}
	main := &linkEndpoint{netip.MustParseAddrPort("192.0.2.1:1")}
	other := &linkEndpoint{netip.MustParseAddrPort("192.0.2.2:1")}
	initiation, response, data := make([]byte, 148), make([]byte, 92), make([]byte, 148)
	initiation[0], response[0], data[0] = 1, 2, 4
	send := func(buf []byte, to conn.Endpoint) (got []string) {
		rec.to = nil
		must(t, s.Send([][]byte{buf}, to))
		return rec.to
	}
	if got := send(initiation, main); len(got) != 1 {
		t.Errorf("without others it went to %v", got)
	}
	s.more.Store(&map[string][]conn.Endpoint{main.DstToString(): {other}})
	if got := send(initiation, main); !slices.Equal(got, []string{other.DstToString(), main.DstToString()}) {
		t.Errorf("an initiation went to %v", got)
	}
	for _, b := range [][]byte{response, data} {
		if got := send(b, main); !slices.Equal(got, []string{main.DstToString()}) {
			t.Errorf("type %d went to %v", b[0], got)
		}
	}
	if got := send(initiation, other); !slices.Equal(got, []string{other.DstToString()}) {
		t.Errorf("another peer's initiation went to %v", got)
	}
}

// A recordBind keeps where it was to send.
type recordBind struct {
	conn.Bind
	to []string
}

func (b *recordBind) Send(_ [][]byte, ep conn.Endpoint) error {
	b.to = append(b.to, ep.DstToString())
	return nil
}
