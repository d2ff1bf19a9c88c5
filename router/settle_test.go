package router

import (
	"net/netip"
	"testing"
	"time"
)

// TestStaleInCarrier: a hop has a session, its carrier has none, so the hop's
// encrypted packets wait in the carrier. Their prefix moves, or the hop goes.
// When the carrier's relay is back, none of them may arrive. The detector:
// without settling they do.
func TestStaleInCarrier(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		settle bool
		change func(l *lab)
	}{
		{"detector: without settling the exit sees them", false, func(l *lab) { l.cfg.Routes[0].Hop = "" }},
		{"the prefix rejects", true, func(l *lab) { l.cfg.Routes[0].Hop = "" }},
		{"the prefix moves", true, func(l *lab) { l.cfg.Routes[0].Hop = "sibling" }},
		{"the hop is removed", true, func(l *lab) {
			l.cfg.Hops = []Hop{l.cfg.Hops[0], l.cfg.Hops[2]}
			l.cfg.Routes = l.cfg.Routes[1:2]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			l.start()
			dst := farNet.Addr().Next()
			if _, ok := l.exchange(dst, 10*time.Second); !ok {
				t.Fatal("no path")
			}
			l.entry.Stop()
			old := l.r.table.Load().hop("entry").port.Load()
			old.dev.Close() // its next device has no session
			eventually(t, 20*time.Second, "a new device", func() bool {
				p := l.r.table.Load().hop("entry").port.Load()
				return p != nil && p != old && !l.hop("exit").Down
			})
			before := decapsulated(l.exit, dst)
			out := l.hop("exit").Out
			for range 50 {
				l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(dst, 9), []byte("stale")))
			}
			eventually(t, 5*time.Second, "the packets are in the exit's device", func() bool { return l.hop("exit").Out >= out+50 })
			time.Sleep(100 * time.Millisecond)
			l.r.unsettled = !tt.settle
			tt.change(l)
			l.apply()
			must(t, l.entry.Start())
			deadline := time.Now().Add(15 * time.Second)
			for time.Now().Before(deadline) && decapsulated(l.exit, dst) == before {
				time.Sleep(100 * time.Millisecond)
				if _, ok := l.exchange(nearNet.Addr().Next(), 200*time.Millisecond); ok && tt.settle {
					break // the entry is back: what waited has left
				}
			}
			time.Sleep(300 * time.Millisecond)
			if n := decapsulated(l.exit, dst) - before; (n == 0) != tt.settle {
				t.Fatalf("the exit decapsulated %d packets of before", n)
			}
		})
	}
}

// TestSettleSparesTraffic: a change of one prefix of a busy hop loses nothing of
// the others, since what is inside leaves at once.
func TestSettleSparesTraffic(t *testing.T) {
	l := newLab(t, nil)
	extra := netip.MustParsePrefix("198.18.0.0/24")
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	for i := range 30 {
		l.cfg.Routes = l.cfg.Routes[:3]
		if i%2 == 0 {
			l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: extra, Hop: "exit"})
		}
		done := make(chan bool, 1)
		go func() {
			_, ok := l.exchange(far, 2*time.Second)
			done <- ok
		}()
		l.apply()
		if !<-done {
			t.Fatalf("round %d: an exchange beside the change was lost; drops %v", i, l.hop("exit").Drops)
		}
	}
}
