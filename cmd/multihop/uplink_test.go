package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/router"
)

// paths answers RouteTo from a table; what is not in it has no route.
func paths(table map[string]host.Path) func(netip.Addr) (host.Path, error) {
	return func(a netip.Addr) (host.Path, error) {
		p, ok := table[a.String()]
		if !ok {
			return host.Path{}, host.ErrNoRoute
		}
		return p, nil
	}
}

func TestDeriveMTU(t *testing.T) {
	up := &uplink{routeTo: paths(map[string]host.Path{
		"192.0.2.1": {Interface: "eth0", MTU: 1500},
		"192.0.2.2": {Interface: "ppp0", MTU: 1492},
		"192.0.2.3": {Interface: "mh0", MTU: 1360},
	})}
	up.tun = "mh0"
	tests := []struct {
		name      string
		hop       router.Hop
		endpoints []string
		bound     int
		want      int
		warned    bool
	}{
		{"of the route", router.Hop{}, []string{"192.0.2.1:51820"}, 0, 1420, false},
		{"the least of several", router.Hop{}, []string{"192.0.2.1:51820", "192.0.2.2:51820"}, 0, 1412, false},
		{"the file's", router.Hop{MTU: 1380}, []string{"192.0.2.1:51820"}, 0, 1380, false},
		{"bounded", router.Hop{}, []string{"192.0.2.1:51820"}, 1300, 1300, false},
		{"under the bound", router.Hop{}, []string{"192.0.2.1:51820"}, 1440, 1420, false},
		{"a carried hop's is not the host's affair", router.Hop{Via: "entry"}, []string{"192.0.2.1:51820"}, 1300, 0, false},
		{"learned endpoint", router.Hop{}, nil, 0, 0, false},
		{"learned endpoint, bounded", router.Hop{}, nil, 1300, 1300, false},
		{"no route", router.Hop{}, []string{"198.51.100.1:51820"}, 0, 0, true},
		{"through our own TUN", router.Hop{}, []string{"192.0.2.3:51820"}, 0, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			endpoints := func(*router.Hop) (list []netip.AddrPort) {
				for _, e := range tt.endpoints {
					list = append(list, netip.MustParseAddrPort(e))
				}
				return list
			}
			cfg := &router.Config{Hops: []router.Hop{tt.hop}}
			warnings := up.deriveMTU(cfg, endpoints, tt.bound)
			if cfg.Hops[0].MTU != tt.want || (len(warnings) > 0) != tt.warned {
				t.Errorf("MTU %d, warnings %q; want %d, %v", cfg.Hops[0].MTU, warnings, tt.want, tt.warned)
			}
		})
	}
}

func TestUplinkChanged(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	src := netip.MustParseAddr("10.0.0.2")
	table := map[string]host.Path{}
	up := &uplink{tun: "mh0", routeTo: paths(table)}
	steps := []struct {
		name string
		path *host.Path // nil: no route
		want bool
	}{
		{"first seen", &host.Path{Interface: "eth0", Src: src, MTU: 1500}, false},
		{"the same", &host.Path{Interface: "eth0", Src: src, MTU: 1500}, false},
		{"only the MTU", &host.Path{Interface: "eth0", Src: src, MTU: 1400}, false},
		{"lost", nil, false},
		{"back as it was", &host.Path{Interface: "eth0", Src: src, MTU: 1500}, false},
		{"another source", &host.Path{Interface: "eth0", Src: src.Next(), MTU: 1500}, true},
		{"lost again", nil, false},
		{"another interface", &host.Path{Interface: "wlan0", Src: src.Next(), MTU: 1500}, true},
		{"through our own TUN", &host.Path{Interface: "mh0", Src: src, MTU: 1420}, false},
		{"still wlan0", &host.Path{Interface: "wlan0", Src: src.Next(), MTU: 1500}, false},
	}
	for _, s := range steps { // in this order
		delete(table, a.String())
		if s.path != nil {
			table[a.String()] = *s.path
		}
		if got := up.changed([]netip.Addr{a}); got != s.want {
			t.Errorf("%s: changed is %v, want %v", s.name, got, s.want)
		}
	}
}

func TestRootEndpoints(t *testing.T) {
	s := router.Status{Hops: []router.HopStatus{
		{Name: "entry", Peers: []router.PeerStatus{{Endpoint: "192.0.2.1:51820"}, {}, {Endpoint: "[2001:db8::1]:51820"}}},
		{Name: "exit", Via: "entry", Peers: []router.PeerStatus{{Endpoint: "198.51.100.1:51820"}}},
	}}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if got := addrsOf(rootEndpoints(s)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLoops(t *testing.T) {
	tests := []struct {
		name, endpoint, routes string
		want                   int
	}{
		{"apart", "192.0.2.1:51820", "203.0.113.0/24", 0},
		{"default", "192.0.2.1:51820", "0.0.0.0/0", 1},
		{"other family", "192.0.2.1:51820", "::/0", 0},
		{"halves", "192.0.2.1:51820", "0.0.0.0/1 128.0.0.0/1", 1},
		{"host route", "192.0.2.1:51820", "192.0.2.1/32", 1},
		{"IPv6", "[2001:db8::1]:51820", "2000::/3 2001:db8::/32", 1},
		{"a name", "vpn.example.net:51820", "0.0.0.0/0", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := &router.Plan{Hops: []router.PlanHop{
				{Name: "entry", Endpoints: []string{tt.endpoint}},
				{Name: "exit", Via: "entry", Endpoints: []string{"203.0.113.1:51820"}}, // inside its own route: fine
			}}
			for _, r := range strings.Fields(tt.routes) {
				plan.Routes = append(plan.Routes, router.PlanRoute{Prefix: netip.MustParsePrefix(r), Hop: "exit"})
			}
			if got := loops(plan); len(got) != tt.want {
				t.Errorf("%v, want %d", got, tt.want)
			}
		})
	}
}

func TestGroupLeftOut(t *testing.T) {
	out := func(hop, why string, prefixes ...string) (list []conf.LeftOut) {
		for _, p := range prefixes {
			list = append(list, conf.LeftOut{Prefix: netip.MustParsePrefix(p), Hop: hop, Why: why})
		}
		return list
	}
	list := slices.Concat(
		out("entry", "a", "1.0.0.0/8", "2.0.0.0/8"),
		out("entry", "b", "3.0.0.0/8"),
		out("exit", "b", "1.0.0.0/8", "2.0.0.0/8", "3.0.0.0/8", "4.0.0.0/8", "5.0.0.0/8", "6.0.0.0/8"),
	)
	want := []string{
		"entry a 1.0.0.0/8, 2.0.0.0/8",
		"entry b 3.0.0.0/8",
		"exit b 1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8 and 2 more",
	}
	var got []string
	for _, g := range groupLeftOut(list) {
		got = append(got, g.hop+" "+g.why+" "+g.list())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// While there is no way to an endpoint, its MTU is that of the last one.
func TestMTUIsRemembered(t *testing.T) {
	table := map[string]host.Path{"192.0.2.1": {Interface: "eth0", MTU: 1492}}
	up := &uplink{routeTo: paths(table)}
	for _, name := range []string{"there", "gone"} {
		cfg := &router.Config{Hops: []router.Hop{{Name: "entry"}}}
		endpoints := func(*router.Hop) []netip.AddrPort {
			return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:51820")}
		}
		if w := up.deriveMTU(cfg, endpoints, 0); cfg.Hops[0].MTU != 1412 || len(w) != 0 {
			t.Errorf("%s: MTU %d, warnings %q", name, cfg.Hops[0].MTU, w)
		}
		delete(table, "192.0.2.1")
	}
}
