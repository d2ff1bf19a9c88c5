package e2e_test

import (
	"net/netip"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// A nested is what people do without multihop: two wireguard-go processes on
// the client, one inside the other through the kernel's routes.
type nested struct{ outer, inner *netlab.Tunnel }

func runNested(t testing.TB, n *e2e.Network, r *e2e.Relays, like netip.Addr) nested {
	t.Helper()
	all := e2e.Prefixes("0.0.0.0/0", "::/0")
	exit := e2e.ExitAddr().Of(like)
	outer := n.Client.StartTunnel(t, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("outer"), PrivateKey: r.OuterKey,
		Addrs: []netip.Prefix{host(e2e.Outer().V4), host(e2e.Outer().V6)},
		// The route to the exit is there before the inner tunnel: see StartTunnel.
		Routes: append(e2e.Prefixes("203.0.113.0/25", "2001:db8:3::/64"), host(exit)),
		Peers: []netlab.TunnelPeer{{
			PublicKey:  r.EntryKey.Public(),
			Endpoint:   netip.AddrPortFrom(e2e.EntryAddr().Of(like), e2e.EntryPort),
			AllowedIPs: all,
		}},
	})
	overhead := 60 // IPv4 20, UDP 8, WireGuard 32
	if like.Is6() {
		overhead = 80
	}
	inner := n.Client.StartTunnel(t, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("inner"), PrivateKey: r.InnerKey, MTU: 1420 - overhead,
		Addrs:  []netip.Prefix{host(e2e.Inner().V4), host(e2e.Inner().V6)},
		Routes: e2e.Prefixes("203.0.113.128/25", "2001:db8:4::/64"),
		Peers: []netlab.TunnelPeer{{
			PublicKey:    r.ExitKey.Public(),
			PresharedKey: r.Preshared,
			Endpoint:     netip.AddrPortFrom(exit, e2e.ExitPort),
			AllowedIPs:   all,
		}},
	})
	return nested{outer, inner}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// TestNetwork checks the network, its watches and the traffic that the other
// tests send, with nested wireguard-go in multihop's place: what is asserted of
// multihop is true of the kernel, and leaks are seen.
func TestNetwork(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Preshared: true})
	like := e2e.NearAddr().V4
	w := n.Watch(t, r, like, e2e.WatchOptions{Direct: e2e.NearAddr().Both()})
	w.Prove(t)
	runNested(t, n, r, like)
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			near, far := e2e.NearAddr().Of(f.like), e2e.FarAddr().Of(f.like)
			reaches(t, n, near, e2e.Outer().Of(f.like))
			reaches(t, n, far, e2e.Inner().Of(f.like))
			transfers(t, n, near, e2e.Outer().Of(f.like), 8<<20)
			transfers(t, n, far, e2e.Inner().Of(f.like), 8<<20)
		})
	}
	w.Check(t)

	// Every place that a packet could go astray leads to an answer, with a
	// source that tells: the checks above could have failed.
	tests := []struct {
		name        string
		from        *netlab.Host
		addr        e2e.Pair
		want        e2e.Pair
		unreachable bool
	}{
		{"far in clear", n.Other, e2e.FarAddr(), e2e.OtherAddr(), false},
		{"near in clear", n.Other, e2e.NearAddr(), e2e.OtherAddr(), false},
		{"an address that nobody has", n.Other, e2e.Pair{V4: netip.MustParseAddr("203.0.113.77"), V6: netip.MustParseAddr("2001:db8:3::77")}, e2e.Pair{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range families() {
				from, err := tt.from.Echo(tt.addr.Of(f.like), 100, patience/8)
				if (err != nil) != tt.unreachable || err == nil && from.Addr() != tt.want.Of(f.like) {
					t.Errorf("%s: seen from %v, %v", f.name, from, err)
				}
			}
		})
	}
	w.Prove(t)
}
