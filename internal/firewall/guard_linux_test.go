package firewall

import (
	"net/netip"
	"testing"

	"multihop/internal/netlab"
)

// TestGuard sends to the tunnel address (CVE-2019-14899) from the LAN, from the
// internet, from a machine behind the client, and by the ways that lead to it.
func TestGuard(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.client.ServeTarget(t)
			f := open(t, w.client)
			expect := func(state string, outside, tun bool) {
				t.Helper()
				for _, q := range []struct {
					name string
					h    *netlab.Host
					dev  string
					from netip.Addr
					want bool
				}{
					{"LAN", w.isp, "lan0", s.lan, outside},
					{"internet", w.isp, "lan0", s.internet, outside},
					{"box", w.box, "eth0", s.box, outside},
					{"tunnel", w.far, "tun0", s.beyond, tun},
					{"this host", w.client, "lo", s.client, true},
				} {
					l := look{q.h, answersOf(t, q.h, q.dev, s.tunnel), probes(q.from, s.tunnel)}
					if q.h == w.client { // a Target answers from the interface that it was asked on: not on lo
						l.cases = l.cases[:1]
					}
					l.at(t, state+", from "+q.name, func(verdictCase) bool { return q.want })
					l.wire.Close()
				}
			}
			expect("no table", true, true)
			c := w.config()
			c.KillSwitch = false // what answers, may leave
			apply(t, f, c)
			expect("table", false, true)
			c.TUN, c.TUNs = "mh1", []string{"mh0"}
			apply(t, f, c)
			expect("TUN of another instance", false, true)
			c.TUNs = nil
			apply(t, f, c)
			expect("no such TUN", false, false)
		})
	}
}

// answersOf captures what comes from addr.
func answersOf(t *testing.T, h *netlab.Host, dev string, addr netip.Addr) *netlab.Capture {
	t.Helper()
	return h.Capture(t, dev, netlab.CaptureOptions{
		Match: func(p *netlab.Packet) bool { return !p.Outgoing && p.Src.Addr() == addr && !p.Neighbourly() },
	})
}
