package router

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/memnet"
	"multihop/packet"
)

// decapsulated returns how many packets to dst a relay took out of its tunnel.
func decapsulated(r *memnet.Relay, dst netip.Addr) (n uint64) {
	for f, count := range r.Forwarded() {
		if f.Dst.Addr() == dst {
			n += count
		}
	}
	return n
}

// countHandshakes counts the WireGuard messages of types 1 to 3 that a relay's
// public side sees.
func countHandshakes(r *memnet.Relay) *atomic.Int64 {
	var n atomic.Int64
	r.Outside().Tap(func(_ bool, pkt []byte) {
		var m packet.Meta
		if m.Parse(pkt) != packet.OK {
			return
		}
		if b, ok := packet.UDPPayload(pkt, &m); ok && len(b) >= 4 && binary.LittleEndian.Uint32(b) < 4 {
			n.Add(1)
		}
	})
	return &n
}

// TestStaleAfterApply: packets wait in a hop without a session; their prefix
// moves to another hop; the session comes up later. The relay must not see what
// the new table gives elsewhere. The detector: without settling, it does.
func TestStaleAfterApply(t *testing.T) {
	for _, tt := range []struct {
		name   string
		settle bool
	}{
		{"detector: without settling the relay sees them", false},
		{"with settling it sees none", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			dst := farNet.Addr().Next()
			l.exit.Stop()
			l.start()
			if _, ok := l.exchange(nearNet.Addr().Next(), 10*time.Second); !ok {
				t.Fatal("no path through the entry")
			}
			from := netip.AddrPortFrom(entryTunnel, 4000)
			for range 50 {
				l.send(udp(from, netip.AddrPortFrom(dst, 9), []byte("stale")))
			}
			eventually(t, 5*time.Second, "the packets wait inside the device", func() bool {
				return l.hop("exit").Out >= 50
			})
			l.r.unsettled = !tt.settle
			l.cfg.Routes[0].Hop = "entry" // farNet
			stop := func() {}
			if tt.settle { // the detector's packets must stay: a full window is flushed after 5 s
				stop = l.flood(dst) // before, during and after the change
			}
			time.Sleep(20 * time.Millisecond)
			l.apply()
			before := decapsulated(l.exit, dst)
			must(t, l.exit.Start())
			eventually(t, 60*time.Second, "the exit's session", func() bool {
				for _, p := range l.hop("exit").Peers {
					return !p.LatestHandshake.IsZero()
				}
				return false
			})
			time.Sleep(300 * time.Millisecond)
			got := decapsulated(l.exit, dst) - before
			if tt.settle && got != 0 || !tt.settle && got == 0 {
				t.Fatalf("the exit saw %d stale packets", got)
			}
			stop()
			eventually(t, 10*time.Second, "the new path", func() bool { // behind the flood's rest
				src, ok := l.exchange(dst, 500*time.Millisecond)
				return ok && src == entryTunnel
			})
		})
	}
}

// TestApplyKeepsSessions: routes change under traffic, and no handshake message
// is seen. The detector: a new key makes one.
func TestApplyKeepsSessions(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far, near := farNet.Addr().Next(), nearNet.Addr().Next()
	for _, a := range []netip.Addr{far, near} {
		if _, ok := l.exchange(a, 10*time.Second); !ok {
			t.Fatalf("no path to %v", a)
		}
	}
	l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: netip.MustParsePrefix("198.18.0.0/24"), Hop: "sibling"})
	l.apply()
	entry, exit := countHandshakes(l.entry), countHandshakes(l.exit)
	stop := l.flood(far, near)
	var slowest time.Duration
	for i := range 20 {
		l.cfg.Routes[0].Hop = []string{"entry", "exit"}[i%2]
		l.cfg.Routes[2].Prefix = []netip.Prefix{farNet6, netip.MustParsePrefix("2001:db8:e::/48")}[i%2]
		start := time.Now()
		l.apply()
		slowest = max(slowest, time.Since(start))
	}
	t.Logf("slowest Apply under load: %v", slowest)
	stop()
	eventually(t, 10*time.Second, "the last table's path", func() bool { // behind the flood's rest
		src, ok := l.exchange(far, 500*time.Millisecond)
		return ok && src == exitTunnel
	})
	if a, b := entry.Load(), exit.Load(); a != 0 || b != 0 {
		t.Fatalf("handshake messages: entry %d, exit %d", a, b)
	}

	key := NewPrivateKey()
	must(t, l.exit.Add(memnet.Client{PublicKey: key.Public(), Addrs: l.cfg.Hops[1].Addrs, AllowedIPs: everything}))
	l.cfg.Hops[1].PrivateKey = key
	l.cfg.Hops[1].Peers[0].PresharedKey = Key{}
	l.apply()
	l.exchange(far, 10*time.Second)
	if exit.Load() == 0 {
		t.Fatal("detector: a new key made no handshake")
	}
	if entry.Load() != 0 {
		t.Fatal("the change of the exit touched the entry")
	}
}

// TestMisroutedUnderChange: while a prefix moves to and fro, each packet that was
// sent after an Apply returned goes by that Apply's table.
func TestMisroutedUnderChange(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := farNet.Addr().Next()
	for _, hop := range []string{"entry", "exit"} { // sessions
		l.cfg.Routes[0].Hop = hop
		l.apply()
		if _, ok := l.exchange(far, 10*time.Second); !ok {
			t.Fatalf("no path through %s", hop)
		}
	}
	source := map[string]netip.Addr{"entry": entryTunnel, "exit": exitTunnel}
	for i := range 100 {
		hop := []string{"entry", "exit"}[i%2]
		l.cfg.Routes[0].Hop = hop
		l.apply()
		if src, ok := l.exchange(far, 5*time.Second); !ok || src != source[hop] {
			t.Fatalf("round %d: the host saw %v, want %v of %s", i, src, source[hop], hop)
		}
	}
}

func TestFailedApplyChangesNothing(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	before := l.cfg
	c, err := l.r.ListenUDP("entry", "udp4")
	must(t, err)
	taken := uint16(c.LocalAddr().(*net.UDPAddr).Port)
	other := l.cfg.Hops[2]
	other.Name, other.PrivateKey, other.Addrs = "other", NewPrivateKey(), addrs("10.9.0.2")
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"a hop that stays", func(cfg *Config) { cfg.Hops[1].ListenPort = taken }},
		{"a new hop", func(cfg *Config) {
			other.ListenPort = taken
			cfg.Hops = append(cfg.Hops, other)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exit := countHandshakes(l.exit)
			l.cfg.Hops = slices.Clone(before.Hops)
			l.cfg.Routes = slices.Clone(before.Routes)
			l.cfg.Routes[0].Hop = "entry" // which must not come into force
			l.cfg.Hops[0].MTU = 1400
			l.cfg.Hops[1].Peers = []Peer{l.cfg.Hops[1].Peers[0]}
			l.cfg.Hops[1].Peers[0].PresharedKey = NewPresharedKey()
			tt.change(&l.cfg)
			p, err := Compile(l.cfg)
			must(t, err)
			if err = l.r.Apply(context.Background(), p); err == nil || !strings.Contains(err.Error(), "in use") {
				t.Fatalf("error %v", err)
			}
			if src, ok := l.exchange(far, time.Second); !ok || src != exitTunnel {
				t.Fatalf("after a refused Apply the host saw %v (%v)", src, ok)
			}
			if h := l.hop("entry"); len(l.r.Status().Hops) != 3 || h.MTU != 1420 || h.Down {
				t.Errorf("%+v", h)
			}
			if n := exit.Load(); n != 0 {
				t.Errorf("%d handshake messages", n)
			}
		})
	}
	l.cfg = before
	must(t, c.Close())
}

// TestRemovedAndDown: what a hop carried is rejected, never sent by the next
// shorter prefix.
func TestRemovedAndDown(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: "entry"})
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	l.cfg.Hops[1].Down = true
	l.apply()
	before := decapsulated(l.entry, far)
	l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(far, 7), []byte("x")))
	pkt := l.recv(2 * time.Second)
	var m packet.Meta
	if pkt == nil || m.Parse(pkt) != packet.OK || !packet.IsICMPError(pkt, &m) {
		t.Fatalf("a hop that is down answered % x, want an ICMP error", pkt)
	}
	if got := l.hop("exit").Drops["down"]; got != 1 {
		t.Fatalf("down counted %d", got)
	}
	if decapsulated(l.entry, far) != before {
		t.Fatal("the packet took the shorter prefix")
	}
	l.cfg.Hops[1].Down = false
	l.apply()
	if src, ok := l.exchange(far, 10*time.Second); !ok || src != exitTunnel {
		t.Fatalf("up again: the host saw %v (%v)", src, ok)
	}
}
