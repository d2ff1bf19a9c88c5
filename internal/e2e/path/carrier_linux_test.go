package path_test

import (
	"net/netip"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// TestNarrowCarrier: a link between entry and exit on which the carried hop's
// own datagrams do not fit. The router learns it, lowers the hop's MTU and the
// kernel's, and tells programs.
func TestNarrowCarrier(t *testing.T) {
	const link = 1400
	for _, endpoint := range families() {
		t.Run(endpoint.name+" endpoints", func(t *testing.T) {
			n := newNetwork(t)
			n.Entry.SetMTU("eth1", link)
			n.Exit.SetMTU("eth0", link)
			c := n.start(t, n.chain(endpoint.like))
			s := &n.inner
			want := link - 60 // IPv4 20, UDP 8, WireGuard 32
			if endpoint.like.Is6() {
				want -= 20
			}
			for _, f := range families() {
				t.Run(f.name, func(t *testing.T) {
					to := listen(t, s.target)
					d := dial(t, c.Client, netip.AddrPortFrom(s.addr(narrowLink, f.like), to.port), df)
					// What makes the router learn is lost, as a full queue loses it.
					for end := time.Now().Add(5 * time.Second); cross(d, to, want+1-f.header(), 200*time.Millisecond) == (fate{}); {
						if time.Now().After(end) {
							t.Fatalf("packets of %d bytes are silently lost for 5 s", want+1)
						}
					}
					for _, tt := range []struct {
						size int
						want fate
					}{{want, fate{delivered: true}}, {want + 1, fate{tooBig: want}}} {
						if got := cross(d, to, tt.size-f.header(), time.Second); got != tt.want {
							t.Errorf("%d bytes: %v, want %v", tt.size, got, tt.want)
						}
					}
					transfers(t, c, s, s.addr(narrowTransfer, f.like))
					if got := c.mtu(t, s); got != want {
						t.Errorf("the hop's MTU is %d, want %d", got, want)
					}
					fresh := dial(t, c.Client, netip.AddrPortFrom(s.addr(tracing, f.like), to.port), df)
					if got := fresh.mtu(t); got != want {
						t.Errorf("the kernel's route has MTU %d, want %d", got, want)
					}
				})
			}
			if got := c.Hop(t, n.direct.hop).MTU; got != 1420 {
				t.Errorf("the carrier's MTU is %d, want 1420", got)
			}
		})
	}
}

// TestFragmentingLink: a carrier too narrow for IPv6 inside the hop that it
// carries, whose link therefore sends its datagrams in fragments.
func TestFragmentingLink(t *testing.T) {
	const outer, inner = 1300, 1280
	for _, endpoint := range families() {
		t.Run(endpoint.name+" endpoints", func(t *testing.T) {
			n := newNetwork(t)
			n.Entry.SetMTU(n.direct.tunnel.Config.Name, outer)
			chain := n.chain(endpoint.like)
			chain.Entry.MTU, chain.Fragment = outer, true
			c := n.start(t, chain)
			s := &n.inner
			if got := c.mtu(t, s); got != inner {
				t.Fatalf("the hop's MTU is %d, want %d", got, inner)
			}
			pieces := n.Entry.Capture(t, n.direct.tunnel.Config.Name, netlab.CaptureOptions{
				Match: func(p *netlab.Packet) bool { return !p.Outgoing && isFragment(p) },
			})
			for _, f := range families() {
				t.Run(f.name, func(t *testing.T) {
					pieces.Reset()
					(stream{c.Client, s.target, s.addr(sizing, f.like), dontDF, 1500, inner}).check(t, f)
					if pieces.Count() == 0 {
						t.Error("no fragment came out of the outer tunnel")
					}
					(stream{c.Client, s.target, s.addr(pinging, f.like), df, 1500, inner}).check(t, f)
					(stream{s.target, c.Client, s.client.Of(f.like), dontDF, 1500, inner}).check(t, f)
					transfers(t, c, s, s.addr(narrowTransfer, f.like))
				})
			}
		})
	}
}
