package router

import (
	"net/netip"
	"testing"
	"time"
)

// TestExplainWaits: where a layer of a packet's way has no address to send to,
// Explain does not call the packet delivered; such packets wait and are dropped as it
// says. Once there is an address, both agree again.
func TestExplainWaits(t *testing.T) {
	t.Parallel()
	const unknown = " has no address: looking up relay.example: no such host"
	for _, tt := range []struct {
		name     string
		hop      int // whose endpoint is not known, and what it is
		endpoint string
		addr     netip.Addr // of the name
		dst      netip.Addr
		waits    string
	}{
		{"the exit's name", 1, "relay.example:51820", exitAddr, farNet.Addr().Next(), "hop exit: its endpoint relay.example:51820" + unknown},
		{"the entry's name, to the exit", 0, "relay.example:51820", entryAddr, farNet.Addr().Next(), "hop entry: its endpoint relay.example:51820" + unknown},
		{"the entry's name", 0, "relay.example:51820", entryAddr, nearNet.Addr().Next(), "hop entry: its endpoint relay.example:51820" + unknown},
		{"a peer that was not heard", 1, "", netip.Addr{}, farNet.Addr().Next(), "hop exit: its peer has no endpoint, and was not heard yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var names nameserver
			l := newLab(t, &Options{Resolve: names.resolve})
			l.cfg.Hops[tt.hop].Peers[0].Endpoint = tt.endpoint
			l.start()
			l.ready()
			var e Explanation
			eventually(t, 5*time.Second, "the explanation", func() bool {
				e = l.r.Explain(Flow{Dst: tt.dst})
				return e.Waits == tt.waits
			})
			if e.Drop != "" || e.Path[tt.hop].Waits == "" || e.Path[tt.hop].Endpoint != "" {
				t.Errorf("%+v", e)
			}
			hop := e.Path[len(e.Path)-1].Name
			sent := int(windowSize(false)) + 100
			for range sent {
				l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(tt.dst, 9), make([]byte, 100)))
			}
			eventually(t, 10*time.Second, "they are dropped as Waits says", func() bool {
				d := l.hop(hop).Drops
				return d["no_session"] > 0 && d["device_out"] > 0 && d["no_session"]+d["device_out"] == uint64(sent)
			})
			if !tt.addr.IsValid() {
				return
			}
			names.set("relay.example", tt.addr)
			eventually(t, 20*time.Second, "a path, and no word of waiting", func() bool {
				_, ok := l.exchange(tt.dst, 300*time.Millisecond)
				return ok && l.r.Explain(Flow{Dst: tt.dst}).Waits == ""
			})
		})
	}
}

// TestPlanExplainWaits: a plan's names are not looked up, and nothing waits for that;
// a peer without an endpoint has none.
func TestPlanExplainWaits(t *testing.T) {
	cfg := chain()
	cfg.Routes = []Route{{Prefix: farNet, Hop: cfg.Hops[1].Name}}
	for _, tt := range []struct{ endpoint, waits string }{
		{"relay.example:51820", ""},
		{"", "hop " + cfg.Hops[1].Name + ": its peer has no endpoint, and was not heard yet"},
	} {
		cfg.Hops[1].Peers[0].Endpoint = tt.endpoint
		p, err := Compile(cfg)
		must(t, err)
		if e := p.Explain(Flow{Dst: farNet.Addr().Next()}); e.Waits != tt.waits || e.Drop != "" {
			t.Errorf("endpoint %q: %+v", tt.endpoint, e)
		}
	}
}
