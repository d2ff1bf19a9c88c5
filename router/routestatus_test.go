package router

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRoutes: the routes in force, in order, with what becomes of their packets;
// Explain says the same of an address of each.
func TestRoutes(t *testing.T) {
	l := newLab(t, nil)
	set := prefixes("203.0.113.64/26", "203.0.113.0/26")
	l.cfg.Groups = []Group{{Name: "exits", Hops: []string{"exit", "sibling"}}}
	l.cfg.Hops[0].Addrs = l.cfg.Hops[0].Addrs[:1]
	l.cfg.Routes = []Route{
		{Prefix: farNet, Hop: "exits"},
		{Prefixes: set, Hop: "entry", Derived: true, OnDown: Drop},
		{Prefix: farNet6, Hop: "entry", Derived: true},
		{Prefix: netip.MustParsePrefix("192.0.2.128/25")},
		{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Hop: "sibling", OnDown: Fallback, Fallback: "exit"},
	}
	l.cfg.Addrs = []netip.Addr{entryTunnel, entryTunnel6}
	if r := l.r.Routes(); r != nil {
		t.Errorf("before Apply: %v", r)
	}
	l.start()
	l.ready()
	path := []string{"entry", "exit"}
	check := func(want []RouteStatus) {
		t.Helper()
		got := l.r.Routes()
		if len(got) != len(want) {
			t.Fatalf("%+v", got)
		}
		for i, w := range want {
			g := got[i]
			if g.Prefix != w.Prefix || !slices.Equal(g.Prefixes, w.Prefixes) || g.Count != w.Count || g.Rule != w.Rule || g.Group != w.Group ||
				g.OnDown != w.OnDown || g.Fallback != w.Fallback || g.Origin != w.Origin ||
				g.Hop != w.Hop || !slices.Equal(g.Path, w.Path) || g.MTU != w.MTU || g.Drop != w.Drop || g.Reason != w.Reason {
				t.Errorf("got  %+v\nwant %+v", g, w)
			}
			a := w.Prefix.Addr()
			if !a.IsValid() {
				a = w.Prefixes[0].Addr()
			}
			e := l.r.Explain(Flow{Dst: a.Next()})
			last := ""
			if n := len(e.Path); n > 0 {
				last = e.Path[n-1].Name
			}
			if e.Rule != g.Rule || last != g.Hop || e.OnDown != g.OnDown || e.MTU != g.MTU || e.Drop != g.Drop || e.Reason != g.Reason {
				t.Errorf("%v: the route says\n%+v\nand Explain\n%+v", a, g, e)
			}
		}
	}
	reject := RouteStatus{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Count: 1, OnDown: "reject", Origin: OriginRoutes, Drop: "rejected", Reason: "its route rejects"}
	noFamily := RouteStatus{Prefix: farNet6, Count: 1, Rule: "entry", OnDown: "reject", Origin: OriginAllowedIPs, Hop: "entry", Path: path[:1], MTU: 1420,
		Drop: "family", Reason: "hop entry has no address of its family: rejected"}
	check([]RouteStatus{
		{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Count: 1, Rule: "sibling", OnDown: "fallback", Fallback: "exit", Origin: OriginRoutes,
			Hop: "sibling", Path: []string{"entry", "sibling"}, MTU: 1360},
		reject,
		{Prefix: farNet, Count: 1, Rule: "exits", Group: true, OnDown: "reject", Origin: OriginRoutes, Hop: "exit", Path: path, MTU: 1360},
		{Prefixes: set, Count: 2, Rule: "entry", OnDown: "drop", Origin: OriginAllowedIPs, Hop: "entry", Path: path[:1], MTU: 1420},
		noFamily,
	})
	onDown := func(inUse bool) {
		t.Helper()
		all := l.r.Status().OnDown
		if len(all) != 2 || !slices.Contains(all, OnDownStatus{Rule: "sibling", OnDown: "fallback", Fallback: "exit", InUse: inUse}) ||
			!slices.Contains(all, OnDownStatus{Rule: "entry", OnDown: "drop"}) {
			t.Errorf("%+v", all)
		}
	}
	onDown(false)

	l.cfg.Hops[2].Down = true // sibling
	l.apply()
	if r := l.r.Routes()[0]; r.Hop != "exit" || r.Rule != "sibling" || r.Drop != "" {
		t.Errorf("the fallback: %+v", r)
	}
	onDown(true)
	l.cfg.Hops[0].Down = true // and with it all
	l.apply()
	down := "hop exit is down (its carrier entry is down): "
	for i, want := range []string{"hop sibling is down (taken down): rejected", "its route rejects", down + "rejected", "hop entry is down (taken down): dropped, as its route says"} {
		if r := l.r.Routes()[i]; r.Reason != want {
			t.Errorf("%+v, want %q", r, want)
		}
	}
}

// TestPlanExplain: what a plan explains is what a router that applied it does.
func TestPlanExplain(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Hops[2].Down = true
	l.cfg.Groups = []Group{{Name: "exits", Hops: []string{"sibling", "exit"}}}
	l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Hop: "exits"}, Route{Prefix: netip.MustParsePrefix("10.8.0.0/16"), Hop: "sibling"})
	p, err := Compile(l.cfg)
	must(t, err)
	l.start()
	l.ready()
	for _, f := range []Flow{
		{Dst: farNet.Addr().Next()}, {Dst: nearNet.Addr().Next(), Proto: 6, Size: 1500}, {Dst: farNet6.Addr().Next(), Size: 1361},
		{Dst: netip.MustParseAddr("10.9.0.1")}, {Dst: netip.MustParseAddr("10.8.0.1")}, {Dst: netip.MustParseAddr("9.9.9.9")},
		{Dst: farNet.Addr().Next(), Src: netip.MustParseAddr("192.168.0.1")}, {FromHop: "entry", Src: farNet.Addr().Next()},
	} {
		got, want := p.Explain(f), l.r.Explain(f)
		for i := range want.Path {
			want.Path[i].LatestHandshake = time.Time{}
		}
		if got.Drop != want.Drop || got.Reason != want.Reason || got.Route != want.Route || got.Rule != want.Rule || got.NAT != want.NAT ||
			got.Pieces != want.Pieces || !slices.Equal(got.Path, want.Path) {
			t.Errorf("%+v: the plan says\n%+v\nthe router\n%+v", f, got, want)
		}
	}
}

// TestEditUAPI: the configuration that is kept beside the router changes as the
// set says; what is set to what it is anyhow stays as it was written.
func TestEditUAPI(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Hops[0].FwMark = 7
	l.start()
	l.ready()
	if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
		t.Fatal("no path")
	}
	kept := *cloneConfig(l.cfg) // as files may have it
	kept.Hops[0].FwMark = 0     // the host chose it
	kept.Hops[0].Peers[0].Endpoint = "entry.example:51820"
	entry := Key(l.entry.PublicKey()).hex()
	text := func(key Key) string { return "public_key=" + key.hex() + "\n" }
	for _, tt := range []struct {
		name, hop, set string
		err            string
		check          func(h *Hop) bool
	}{
		{"what showconf says", "entry", "private_key=" + kept.Hops[0].PrivateKey.hex() + "\nlisten_port=" + itoa(l.hop("entry").ListenPort) + "\nfwmark=7\nreplace_peers=true\npublic_key=" + entry +
			"\npreshared_key=" + kept.Hops[0].Peers[0].PresharedKey.hex() + "\nendpoint=" + l.entry.Endpoint().String() + "\nreplace_allowed_ips=true\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n", "",
			func(h *Hop) bool {
				return h.ListenPort == 0 && h.FwMark == 0 && len(h.Peers) == 1 && h.Peers[0].Endpoint == "entry.example:51820" && h.Peers[0].PresharedKey == kept.Hops[0].Peers[0].PresharedKey
			}},
		{"a link's own port", "exit", "listen_port=" + itoa(l.hop("exit").ListenPort) + "\n", "", func(h *Hop) bool { return h.ListenPort == 0 }},
		{"another endpoint", "entry", "public_key=" + entry + "\nendpoint=192.0.2.99:1\n", "", func(h *Hop) bool { return h.Peers[0].Endpoint == "192.0.2.99:1" }},
		{"another port and mark", "entry", "listen_port=40011\nfwmark=9\n", "", func(h *Hop) bool { return h.ListenPort == 40011 && h.FwMark == 9 }},
		{"a peer more", "exit", text(fixedKey(9).Public()) + "allowed_ip=10.0.0.0/8\n", "", func(h *Hop) bool { return len(h.Peers) == 2 }},
		{"the prefix that carries", "entry", "public_key=" + entry + "\nreplace_allowed_ips=true\n", "outside the AllowedIPs of its carrier entry", nil},
		{"a link's port", "exit", "listen_port=4000\n", "its link is a socket inside entry", nil},
		{"no such hop", "elsewhere", "\n", "there is no such hop", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := stable(l.uapiOf("entry") + l.uapiOf("exit"))
			cfg, err := l.r.EditUAPI(kept, tt.hop, strings.NewReader(tt.set))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			for i := range cfg.Hops {
				if cfg.Hops[i].Name == tt.hop && err == nil && !tt.check(&cfg.Hops[i]) {
					t.Errorf("%+v", cfg.Hops[i])
				}
			}
			if kept.Hops[0].Peers[0].Endpoint != "entry.example:51820" || len(kept.Hops[1].Peers) != 1 || kept.Hops[0].ListenPort != 0 {
				t.Error("it changed what it was given")
			}
			if stable(l.uapiOf("entry")+l.uapiOf("exit")) != before {
				t.Error("it changed a device")
			}
		})
	}
	p, err := Compile(l.cfg)
	must(t, err)
	must(t, l.r.Apply(context.Background(), p))
}
