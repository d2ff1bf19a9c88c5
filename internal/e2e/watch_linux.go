package e2e

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// A Watch is captures at every place where a packet on a wrong way would be
// seen. Each lets through what may be there, and only in this exact form.
type Watch struct {
	points []point
}

type point struct {
	what    string
	host    *netlab.Host
	dev     string
	capture *netlab.Capture
}

// WatchOptions say what besides the tunnels' own datagrams is no leak.
type WatchOptions struct {
	// Direct are destinations that are reached through the entry alone: from
	// the outer address, inside the outer tunnel and on the wire to near.
	Direct []netip.Addr

	// Back are destinations near the entry that are reached through the exit:
	// from the inner address, on the wires, never inside the outer tunnel.
	Back []netip.Addr
}

// Watch watches a chain whose endpoints are of like's family. On the client's
// uplink nothing passes but datagrams between client and entry relay; inside
// the outer tunnel and behind the entry, nothing but datagrams between the
// outer address and the exit relay, and what o says.
func (n *Network) Watch(tb testing.TB, r *Relays, like netip.Addr, o WatchOptions) *Watch {
	tb.Helper()
	outside := []netlab.Flow{netlab.UDPFlow(ClientAddr().Of(like), netip.AddrPortFrom(EntryAddr().Of(like), EntryPort))}
	inside := []netlab.Flow{netlab.UDPFlow(Outer().Of(like), netip.AddrPortFrom(ExitAddr().Of(like), ExitPort))}
	exitWire := slices.Clone(inside)
	var nearWire []netlab.Flow
	for _, d := range o.Direct {
		f := netlab.HostFlow(Outer().Of(d), d)
		inside, nearWire = append(inside, f), append(nearWire, f)
	}
	for _, d := range o.Back {
		f := netlab.HostFlow(Inner().Of(d), d)
		exitWire, nearWire = append(exitWire, f), append(nearWire, f)
	}
	w := &Watch{points: []point{
		{what: "the client's uplink", host: n.Client, dev: "eth0"},
		{what: "the outer tunnel", host: n.Entry, dev: r.Entry.Config.Name},
		{what: "the wire from entry to exit", host: n.Entry, dev: "eth1"},
		{what: "the wire from entry to near", host: n.Entry, dev: "eth2"},
	}}
	for i, allowed := range [][]netlab.Flow{outside, inside, exitWire, nearWire} {
		p := &w.points[i]
		tun := p.dev == r.Entry.Config.Name
		p.capture = p.host.Capture(tb, p.dev, netlab.CaptureOptions{
			Without: allowed,
			Match: func(p *netlab.Packet) bool {
				if tun && !p.Outgoing { // out of the tunnel: whatever it is
					return true
				}
				// What the relays' own kernels say is no leak.
				return !p.Neighbourly() && !(p.ICMPError() && slices.Contains(relayAddrs(), p.Src.Addr()))
			},
		})
	}
	return w
}

// relayAddrs are the addresses that the kernels of the entry and the exit send
// errors from, such as "port unreachable" while the relay is dead.
func relayAddrs() []netip.Addr {
	return []netip.Addr{
		EntryAddr().V4, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("203.0.113.1"),
		EntryAddr().V6, netip.MustParseAddr("2001:db8:2::1"), netip.MustParseAddr("2001:db8:3::1"),
		ExitAddr().V4, ExitAddr().V6,
	}
}

// Prove puts forbidden packets on each watched wire and checks that they are
// seen. It forgets what was seen before.
func (w *Watch) Prove(tb testing.TB) {
	tb.Helper()
	for _, p := range w.points {
		p.capture.Reset()
		for _, b := range [][]byte{
			netlab.Datagram(netip.AddrPortFrom(Inner().V4, 1), netip.AddrPortFrom(FarAddr().V4, 2), []byte("stray")),
			netlab.Datagram(netip.AddrPortFrom(Inner().V6, 1), netip.AddrPortFrom(FarAddr().V6, 2), []byte("stray")),
			netlab.Datagram(netip.AddrPortFrom(Outer().V4, 1), netip.AddrPortFrom(ExitAddr().V4, ExitPort+1), []byte("stray")),
		} {
			if err := p.host.Inject(p.dev, b); err != nil {
				tb.Fatal(err)
			}
		}
		if !p.capture.Wait(3, time.Second) {
			tb.Fatalf("detector: on %s forbidden packets were not seen: %s", p.what, p.capture.Report())
		}
		p.capture.Reset()
	}
}

// Check fails the test if a forbidden packet was seen since Prove.
func (w *Watch) Check(tb testing.TB) {
	tb.Helper()
	for _, p := range w.points {
		if p.capture.Count() != 0 {
			tb.Errorf("forbidden packets on %s: %s", p.what, p.capture.Report())
			p.capture.Reset()
		}
	}
}

// Seen is how many forbidden packets were seen.
func (w *Watch) Seen(tb testing.TB) int {
	tb.Helper()
	n := 0
	for _, p := range w.points {
		n += p.capture.Count()
	}
	return n
}
