package forest_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// A grove is a client, relays, and a core between them that is every site:
//
//	client 192.0.2.2 ── core ── relays 198.51.100.11, .12, ...
//	                 203.0.113.0/24, 2001:db8:99::/64
//
// The relays share a host, each with an address and a wireguard-go of its own.
// They translate nothing, and take from a client's hop nothing but the hop's own
// addresses: the source that a site sees names the hop that a packet came by.
// What goes past all tunnels arrives, too, from the client's own address.
type grove struct {
	*netlab.Lab
	client, core, relays *netlab.Host
	programs             *e2e.Programs
	nft                  string // its path
	dir                  string // of the profile
	settings             string // of it: lines of [Interface]
	all                  []*relay
	hops                 []*hop
}

// A relay is one wireguard-go.
type relay struct {
	*netlab.Tunnel
	name string
	n    int  // of its addresses
	open bool // sends the client whatever is put into its tunnel
	mtu  int  // 0: 1420
	key  netlab.Key
	hops []*hop // its peers
}

// A hop is one [Hop] of a profile, and a peer of a relay.
type hop struct {
	name, via, group string
	routes           string // "": none
	v6               bool   // its endpoint is
	mtu              int    // 0: derived
	relay            *relay
	key              netlab.Key
	addrs            e2e.Pair // the client's, inside
}

func pair(v4, v6 string) e2e.Pair {
	return e2e.Pair{V4: netip.MustParseAddr(v4), V6: netip.MustParseAddr(v6)}
}

// site is the i-th address of the sites, i > 0.
func site(i int) e2e.Pair {
	return pair(fmt.Sprintf("203.0.113.%d", i), fmt.Sprintf("2001:db8:99::%x", i))
}

// only is the routes to one site.
func only(i int) string { return fmt.Sprintf("%v/32, %v/128", site(i).V4, site(i).V6) }

func clientAddr() e2e.Pair { return pair("192.0.2.2", "2001:db8:1::2") }

func (r *relay) addr() e2e.Pair {
	return pair(fmt.Sprintf("198.51.100.%d", 10+r.n), fmt.Sprintf("2001:db8:51::%x", 10+r.n))
}

func (r *relay) port() uint16 { return uint16(51820 + r.n) }

// newGrove makes the hosts. The core serves as a target.
func newGrove(t *testing.T) *grove {
	t.Helper()
	p := programs(t)
	g := &grove{Lab: netlab.New(t), programs: p, nft: netlab.RequireTool(t, "nft", "nftables"), dir: t.TempDir()}
	g.client, g.core, g.relays = g.Machine("client"), g.Host("core"), g.Machine("relays")
	g.Wire(g.client, "eth0", g.core, "eth0")
	g.Wire(g.relays, "eth0", g.core, "eth1")
	g.client.Addr("eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	g.core.Addr("eth0", "192.0.2.1/24", "2001:db8:1::1/64")
	g.core.Addr("eth1", "198.51.100.1/24", "2001:db8:51::1/64")
	g.relays.Addr("eth0", "198.51.100.2/24", "2001:db8:51::2/64")
	for _, d := range []struct {
		h      *netlab.Host
		v4, v6 string
	}{{g.client, "192.0.2.1", "2001:db8:1::1"}, {g.relays, "198.51.100.1", "2001:db8:51::1"}} {
		d.h.Via(d.v4, "0.0.0.0/0")
		d.h.Via(d.v6, "::/0")
	}
	g.core.Own("203.0.113.0/24", "2001:db8:99::/64")
	g.core.Via("198.51.100.2", "10.70.0.0/16")
	g.core.Via("2001:db8:51::2", "fd70::/16")
	g.core.Forward()
	g.relays.Forward()
	g.core.ServeTarget(t)
	return g
}

// relay adds a relay, to be started by startRelays.
func (g *grove) relay(name string) *relay {
	r := &relay{name: name, n: len(g.all) + 1, key: netlab.NewKey()}
	g.all = append(g.all, r)
	return r
}

// hop adds a hop to a relay.
func (g *grove) hop(name, via string, r *relay) *hop {
	n := len(g.hops) + 1
	h := &hop{
		name: name, via: via, relay: r, key: netlab.NewKey(),
		addrs: pair(fmt.Sprintf("10.70.%d.2", n), fmt.Sprintf("fd70::%x:2", n)),
	}
	g.hops = append(g.hops, h)
	r.hops = append(r.hops, h)
	return h
}

// startRelays runs the relays, until the test ends.
func (g *grove) startRelays(t *testing.T) {
	t.Helper()
	for _, r := range g.all {
		a := r.addr()
		g.relays.Addr("eth0", netip.PrefixFrom(a.V4, 24).String(), netip.PrefixFrom(a.V6, 64).String())
		c := netlab.TunnelConfig{Name: r.name, PrivateKey: r.key, ListenPort: r.port(), MTU: r.mtu, Peers: r.peers(netlab.Key{})}
		for _, h := range r.hops {
			c.Routes = append(c.Routes, host(h.addrs.V4), host(h.addrs.V6))
		}
		r.Tunnel = g.relays.StartTunnel(t, g.programs.WireGuardGo, c)
	}
}

// peers are the relay's, with a preshared key if that is not zero.
func (r *relay) peers(preshared netlab.Key) []netlab.TunnelPeer {
	var peers []netlab.TunnelPeer
	for _, h := range r.hops {
		allowed := []netip.Prefix{host(h.addrs.V4), host(h.addrs.V6)}
		if r.open {
			allowed = e2e.Prefixes("0.0.0.0/0", "::/0")
		}
		peers = append(peers, netlab.TunnelPeer{PublicKey: h.key.Public(), PresharedKey: preshared, AllowedIPs: allowed})
	}
	return peers
}

// profile writes the profile of some hops, all of them inline, and returns its
// path.
func (g *grove) profile(t *testing.T, hops ...*hop) string {
	t.Helper()
	var b strings.Builder
	if g.settings != "" {
		fmt.Fprintf(&b, "[Interface]\n%s\n", g.settings)
	}
	for _, h := range hops {
		h.write(&b)
	}
	path := filepath.Join(g.dir, "grove.conf")
	next := path + ".next"
	err := os.WriteFile(next, []byte(b.String()), 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *hop) write(b *strings.Builder) {
	fmt.Fprintf(b, "[Hop]\nName = %s\nPrivateKey = %s\nAddress = %v, %v\n", h.name, h.key.Base64(), h.addrs.V4, h.addrs.V6)
	if h.mtu != 0 {
		fmt.Fprintf(b, "MTU = %d\n", h.mtu)
	}
	for _, line := range []struct{ key, value string }{{"Via", h.via}, {"Group", h.group}} {
		if line.value != "" {
			fmt.Fprintf(b, "%s = %s\n", line.key, line.value)
		}
	}
	fmt.Fprintf(b, "Routes = %s\n", cmp.Or(h.routes, "none"))
	endpoint := netip.AddrPortFrom(h.relay.addr().V4, h.relay.port())
	if h.v6 {
		endpoint = netip.AddrPortFrom(h.relay.addr().V6, h.relay.port())
	}
	fmt.Fprintf(b, "[Peer]\nPublicKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %v\n\n", h.relay.key.Public().Base64(), endpoint)
}
