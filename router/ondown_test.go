package router

import (
	"net/netip"
	"testing"
	"time"

	"multihop/packet"
)

// TestOnDown: what becomes of packets of a route whose hop is down, and that
// none of them takes the shorter prefix; both ways.
func TestOnDown(t *testing.T) {
	t.Parallel()
	far := farNet.Addr().Next()
	for _, tt := range []struct {
		name   string
		route  Route
		other  bool   // the fallback is down too
		reason string // the drop; "": it arrives
		told   bool   // the sender is
	}{
		{"reject", Route{OnDown: Reject}, false, "down", true},
		{"drop", Route{OnDown: Drop}, false, "down_silent", false},
		{"fallback", Route{OnDown: Fallback, Fallback: "sibling"}, false, "", false},
		{"fallback that is down", Route{OnDown: Fallback, Fallback: "sibling"}, true, "down", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			tt.route.Prefix, tt.route.Hop = farNet, "exit"
			l.cfg.Routes[0] = tt.route
			l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: everything[0], Hop: "entry"})
			l.start()
			if src, ok := l.exchange(far, 10*time.Second); !ok || src != exitTunnel {
				t.Fatalf("while it is up: the host saw %v (%v)", src, ok)
			}
			l.cfg.Hops[1].Down, l.cfg.Hops[2].Down = true, tt.other
			l.apply()
			entry := decapsulated(l.entry, far)
			e := l.r.Explain(Flow{Dst: far})
			if e.Drop != tt.reason {
				t.Errorf("explained as %+v", e)
			}
			if tt.reason == "" {
				if src, ok := l.exchange(far, 10*time.Second); !ok || src != siblingTunnel {
					t.Fatalf("the fallback: the host saw %v (%v)", src, ok)
				}
				if e.Backup != "sibling" || e.NAT != siblingTunnel {
					t.Errorf("explained as %+v", e)
				}
				// The fallback speaks for the prefix, and nobody else does.
				forged := udp(netip.AddrPortFrom(far, 7), netip.AddrPortFrom(entryTunnel, 4000), []byte("forged"))
				spoofed := l.hop("entry").Drops["spoof"]
				l.entry.Inject(forged)
				eventually(t, 5*time.Second, "a forged packet is dropped", func() bool { return l.hop("entry").Drops["spoof"] == spoofed+1 })
			} else {
				l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(far, 7), []byte("x")))
				eventually(t, 5*time.Second, "the drop is counted", func() bool { return l.hop("exit").Drops[tt.reason] == 1 })
				pkt := l.recv(500 * time.Millisecond)
				var m packet.Meta
				if told := pkt != nil && m.Parse(pkt) == packet.OK && packet.IsICMPError(pkt, &m); told != tt.told {
					t.Errorf("the sender was told: %v, want %v", told, tt.told)
				}
			}
			if decapsulated(l.entry, far) != entry {
				t.Error("a packet took the shorter prefix")
			}
			l.cfg.Hops[1].Down, l.cfg.Hops[2].Down = false, false
			l.apply()
			eventually(t, 10*time.Second, "the hop's own way again", func() bool {
				src, ok := l.exchange(far, time.Second)
				return ok && src == exitTunnel
			})
		})
	}
}
