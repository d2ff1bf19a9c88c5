package forest_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// patience is how long a first packet may take: three handshakes, one inside the
// other, and a retry of each.
const patience = 20 * time.Second

// A trio is three levels of hops, with two siblings at the third.
type trio struct {
	*grove
	entry, mid, left, right *hop
}

func newTrio(t *testing.T, v6 bool) *trio {
	g := newGrove(t)
	x := &trio{grove: g}
	x.entry = g.hop("entry", "", g.relay("entry"))
	x.mid = g.hop("mid", "entry", g.relay("mid"))
	x.left = g.hop("left", "mid", g.relay("left"))
	x.right = g.hop("right", "mid", g.relay("right"))
	for _, h := range g.hops {
		h.v6 = v6
	}
	// Prefixes inside prefixes: the longest counts, whichever hop has it.
	x.entry.routes = "203.0.113.0/24, 203.0.113.144/32, 2001:db8:99::/112, 2001:db8:99::90/128"
	x.mid.routes = "203.0.113.64/26, 2001:db8:99::40/122"
	x.left.routes = "203.0.113.128/26, 203.0.113.200/29, 2001:db8:99::80/122, 2001:db8:99::c8/125"
	x.right.routes = "203.0.113.192/26, 203.0.113.80/28, 203.0.113.130/31, 2001:db8:99::c0/122, 2001:db8:99::50/124, 2001:db8:99::82/127"
	x.left.relay.open, x.right.relay.open = true, true
	if v6 { // so that three layers of 80 bytes leave IPv6 the 1280 that it needs
		x.entry.mtu = 1520
		x.entry.relay.mtu, x.mid.relay.mtu, x.left.relay.mtu, x.right.relay.mtu = 1520, 1440, 1360, 1360
		for _, w := range []struct {
			h   *netlab.Host
			dev string
		}{{g.client, "eth0"}, {g.core, "eth0"}, {g.core, "eth1"}, {g.relays, "eth0"}} {
			w.h.SetMTU(w.dev, 1600)
		}
	}
	g.startRelays(t)
	return x
}

// ways are sites, by number, and the hop that each is to be reached by: the ends
// of every prefix, and what lies just outside.
func (x *trio) ways() map[int]*hop {
	e, m, l, r := x.entry, x.mid, x.left, x.right
	return map[int]*hop{
		1: e, 63: e, 254: r,
		64: m, 79: m, 80: r, 95: r, 96: m, 127: m,
		128: l, 129: l, 130: r, 131: r, 132: l, 143: l, 144: e, 145: l, 191: l,
		192: r, 199: r, 200: l, 207: l, 208: r,
	}
}

// TestSiblings: each prefix of a profile of three levels leads exactly where the
// profile says, and neither of two siblings speaks for the other.
func TestSiblings(t *testing.T) {
	t.Parallel()
	for _, outside := range []struct {
		name string
		v6   bool
	}{{"IPv4 endpoints", false}, {"IPv6 endpoints", true}} {
		t.Run(outside.name, func(t *testing.T) {
			x := newTrio(t, outside.v6)
			// The detector: without the tunnels, sites are reached, from an address
			// that tells.
			for _, a := range site(200).Both() {
				if from, err := x.client.Echo(a, 100, patience); err != nil || from.Addr() != clientAddr().Of(a) {
					t.Fatalf("detector: %v saw %v, %v; want %v", a, from, err, clientAddr().Of(a))
				}
			}
			i := start(t, x.client, x.programs, x.profile(t, x.hops...))
			for n, want := range x.ways() {
				for _, a := range site(n).Both() {
					if from, err := x.client.Echo(a, 1000, patience); err != nil || from.Addr() != want.addrs.Of(a) {
						t.Errorf("%v saw %v, %v; want hop %s, %v", a, from, err, want.name, want.addrs.Of(a))
					}
				}
			}
			for _, n := range []int{1, 64, 129, 192} {
				want := x.ways()[n]
				for _, a := range site(n).Both() {
					for _, transfer := range []func(netip.Addr, int64, time.Duration) (netlab.Transferred, error){x.client.Upload, x.client.Download} {
						if done, err := transfer(a, 1<<20, time.Minute); err != nil || done.From.Addr() != want.addrs.Of(a) {
							t.Errorf("TCP: %v saw %v, %v; want hop %s, %v", a, done.From, err, want.name, want.addrs.Of(a))
						}
					}
				}
			}
			x.forge(t, i)
		})
	}
}

// mark begins the payload of every datagram that forge makes.
const mark = "TestSiblings: "

func marked(src, dst netip.AddrPort) []byte { return netlab.Datagram(src, dst, []byte(mark)) }

// forge has each sibling's relay send what only the other's may, or its carriers',
// or nobody. None of it reaches the client's host.
func (x *trio) forge(t *testing.T, i *instance) {
	t.Helper()
	seen := make(map[string]*netlab.Capture) // on each interface of the client
	for _, dev := range []string{tun, "eth0", "lo"} {
		seen[dev] = x.client.Capture(t, dev, netlab.CaptureOptions{
			Match: func(p *netlab.Packet) bool { return bytes.Contains(p.Data, []byte(mark)) },
		})
		stray := marked(netip.AddrPortFrom(site(1).V4, 1), netip.AddrPortFrom(clientAddr().V4, 2))
		if err := x.client.Inject(dev, stray); err != nil {
			t.Fatal(err)
		}
		if !seen[dev].Wait(1, 2*time.Second) {
			t.Fatalf("detector: on %s a packet put there was not seen", dev)
		}
		seen[dev].Reset()
	}
	for _, who := range []struct {
		own, other        *hop
		ownSite, itsSite  e2e.Pair // reached by own; by the other
		carried, carrying e2e.Pair // reached by the carriers
	}{
		{x.left, x.right, site(129), site(192), site(64), site(1)},
		{x.right, x.left, site(192), site(129), site(64), site(1)},
	} {
		for _, like := range site(1).Both() {
			own := who.own.addrs.Of(like)
			link := i.status(t).hop(t, who.other.name).ListenPort
			endpoint := who.other.relay.addr().Of(like)
			for _, f := range []struct {
				name     string
				src, dst netip.AddrPort
				drop     string
			}{
				{"from a site of its sibling", at(who.itsSite, like), netip.AddrPortFrom(own, 5353), "spoof"},
				{"from a site of its carrier", at(who.carried, like), netip.AddrPortFrom(own, 5353), "spoof"},
				{"from a site of the entry", at(who.carrying, like), netip.AddrPortFrom(own, 5353), "spoof"},
				{"from its sibling's address", at(who.other.addrs, like), netip.AddrPortFrom(own, 5353), "spoof"},
				{"from its sibling's relay", netip.AddrPortFrom(endpoint, 53), netip.AddrPortFrom(own, 5353), "spoof"},
				{"to its sibling's address", at(who.ownSite, like), at(who.other.addrs, like), "destination"},
				{"to its sibling's address, from there", at(who.itsSite, like), at(who.other.addrs, like), "destination"},
				{"to its sibling's link", netip.AddrPortFrom(endpoint, who.other.relay.port()), netip.AddrPortFrom(x.mid.addrs.Of(like), link), "destination"},
			} {
				x.forged(t, i, who.own, like.String()+" "+f.name, f.src, f.dst, f.drop)
			}
			for dev, c := range seen {
				if c.Count() != 0 {
					t.Errorf("%s's relay: forged packets on the client's %s: %s", who.own.name, dev, c.Report())
					c.Reset()
				}
			}
			if err := x.relays.Inject(who.own.relay.name, marked(at(who.ownSite, like), netip.AddrPortFrom(own, 5353))); err != nil {
				t.Fatal(err)
			}
			if !seen[tun].Wait(1, 5*time.Second) {
				t.Errorf("detector: what %s's relay may send did not arrive", who.own.name)
			}
			seen[tun].Reset()
		}
	}
}

func at(p e2e.Pair, like netip.Addr) netip.AddrPort { return netip.AddrPortFrom(p.Of(like), 53) }

// forged has a hop's relay send one packet and checks that it is counted.
func (x *trio) forged(t *testing.T, i *instance, h *hop, what string, src, dst netip.AddrPort, drop string) {
	t.Helper()
	const copies = 5 // more than what the relay's kernel says to multicast groups meanwhile
	before := i.status(t).hop(t, h.name).Drops[drop]
	for range copies {
		if err := x.relays.Inject(h.relay.name, marked(src, dst)); err != nil {
			t.Fatal(err)
		}
	}
	var now uint64
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if now = i.status(t).hop(t, h.name).Drops[drop]; now >= before+copies {
			return
		}
	}
	t.Errorf("%s's relay, %s: %d more drops as %s, want %d", h.name, what, now-before, drop, copies)
}
