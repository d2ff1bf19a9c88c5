package e2e_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

const (
	// mark begins the payload of every datagram that TestForged makes, wherever
	// it ends up.
	mark = "TestForged: "

	// copies is how often each forged packet is sent. The relay's own kernel
	// speaks to multicast groups in the tunnel now and then, which is counted
	// as "destination", too: a packet or two, not so many.
	copies = 10
)

// A forger is a relay that sends the client what it must not.
type forger struct {
	hop    string
	host   *netlab.Host
	dev    string   // its end of the tunnel
	client e2e.Pair // the client's in the tunnel
	behind e2e.Pair // a host that the client's routes reach through the hop
}

// A forgery is a packet that must not reach the client's host.
type forgery struct {
	name     string
	src, dst netip.Addr
	drop     string // counted as
}

// TestForged: each relay sends packets in the name of others, and packets that
// are not for the tunnel's address. The detectors are the same packet made
// legitimate, which arrives on the TUN, and one put on each wire.
func TestForged(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Open: true})
	like := e2e.NearAddr().V4
	i := n.Run(t, e2e.Chain{
		Entry: r.EntryConf(like, "0.0.0.0/0", "::/0"), Exit: r.ExitConf(like, "0.0.0.0/0", "::/0"),
		Routes: providerRoutes(),
	})
	entry := forger{"entry", n.Entry, r.Entry.Config.Name, e2e.Outer(), e2e.NearAddr()}
	exit := forger{"exit", n.Exit, r.Exit.Config.Name, e2e.Inner(), e2e.FarAddr()}
	for _, f := range families() {
		reaches(t, n, entry.behind.Of(f.like), entry.client.Of(f.like))
		reaches(t, n, exit.behind.Of(f.like), exit.client.Of(f.like))
	}

	seen := make(map[string]*netlab.Capture) // on each interface of the client
	for _, dev := range []string{i.Name, "eth0", "lo"} {
		seen[dev] = n.Client.Capture(t, dev, netlab.CaptureOptions{
			Match: func(p *netlab.Packet) bool { return bytes.Contains(p.Data, []byte(mark)) },
		})
		for _, f := range families() {
			stray := marked(e2e.FarAddr().Of(f.like), e2e.OtherAddr().Of(f.like), "stray")
			if err := n.Client.Inject(dev, stray); err != nil {
				t.Fatal(err)
			}
		}
		if !seen[dev].Wait(2, time.Second) {
			t.Fatalf("detector: on %s packets put there were not seen", dev)
		}
	}

	for _, who := range []struct{ own, other forger }{{entry, exit}, {exit, entry}} {
		for _, f := range families() {
			t.Run(who.own.hop+" "+f.name, func(t *testing.T) {
				legitimate(t, i, who.own, f, seen[i.Name])
				for _, c := range seen {
					c.Reset()
				}
				for _, tt := range forgeries(who.own, who.other, f.like) {
					t.Run(tt.name, func(t *testing.T) {
						before := i.Hop(t, who.own.hop).Drops[tt.drop]
						for range copies {
							who.own.inject(t, marked(tt.src, tt.dst, tt.name))
						}
						counted(t, i, who.own.hop, tt.drop, before+copies)
					})
				}
				for dev, c := range seen {
					if c.Count() != 0 {
						t.Errorf("forged packets on the client's %s: %s", dev, c.Report())
					}
				}
				legitimate(t, i, who.own, f, seen[i.Name]) // still
			})
		}
	}
}

// forgeries are packets of own's relay: sources of the other hop, of the LAN
// and of nobody to the tunnel's address, then legitimate sources to others.
func forgeries(own, other forger, like netip.Addr) []forgery {
	special := func(v4, v6 string) netip.Addr {
		return e2e.Pair{V4: netip.MustParseAddr(v4), V6: netip.MustParseAddr(v6)}.Of(like)
	}
	client, behind := own.client.Of(like), own.behind.Of(like)
	return []forgery{
		{"from behind the other hop", other.behind.Of(like), client, "spoof"},
		{"from the client's address in the other tunnel", other.client.Of(like), client, "spoof"},
		{"from the client's address in this tunnel", client, client, "spoof"},
		{"from the client's LAN", e2e.OtherAddr().Of(like), client, "spoof"},
		{"from the client's address on its LAN", e2e.ClientAddr().Of(like), client, "spoof"},
		{"from the entry's endpoint", e2e.EntryAddr().Of(like), client, "spoof"},
		{"from where no route leads", special("9.9.9.9", "2620:fe::fe"), client, "spoof"},
		{"from loopback", special("127.0.0.1", "::1"), client, "spoof"},
		{"from multicast", special("224.0.0.251", "ff02::fb"), client, "spoof"},
		{"from unspecified", special("0.0.0.0", "::"), client, "spoof"},

		{"to the client's address in the other tunnel", behind, other.client.Of(like), "destination"},
		{"to behind the other hop", behind, other.behind.Of(like), "destination"},
		{"to the client's LAN", behind, e2e.OtherAddr().Of(like), "destination"},
		{"to the client's address on its LAN", behind, e2e.ClientAddr().Of(like), "destination"},
		{"to a foreign address", behind, special("9.9.9.9", "2620:fe::fe"), "destination"},
		{"to a neighbour in the tunnel", behind, client.Next(), "destination"},
		{"to loopback", behind, special("127.0.0.1", "::1"), "destination"},
		{"to multicast", behind, special("224.0.0.251", "ff02::fb"), "destination"},
		{"from behind the other hop to its address", other.behind.Of(like), other.client.Of(like), "destination"},
	}
}

// marked returns a datagram whose payload says what it is.
func marked(src, dst netip.Addr, what string) []byte {
	return netlab.Datagram(netip.AddrPortFrom(src, 53), netip.AddrPortFrom(dst, 5353), []byte(mark+what))
}

// inject makes the relay send b into its tunnel.
func (o *forger) inject(t *testing.T, b []byte) {
	t.Helper()
	if err := o.host.Inject(o.dev, b); err != nil {
		t.Fatal(err)
	}
}

// legitimate sends what own's relay may send, and checks that it arrives on the
// client's TUN, for the TUN's address.
func legitimate(t *testing.T, i *e2e.Instance, own forger, f family, tun *netlab.Capture) {
	t.Helper()
	tun.Reset()
	own.inject(t, marked(own.behind.Of(f.like), own.client.Of(f.like), "legitimate"))
	if !tun.Wait(1, 5*time.Second) {
		t.Fatalf("detector: what %s may send did not arrive; drops %v", own.hop, i.Hop(t, own.hop).Drops)
	}
	p := tun.Packets()[0]
	if p.Outgoing || p.Src.Addr() != own.behind.Of(f.like) || p.Dst.Addr() != e2e.Outer().Of(f.like) {
		t.Errorf("what %s may send arrived as %v", own.hop, &p)
	}
}

// counted waits until the hop's drops of that name are at least want.
func counted(t *testing.T, i *e2e.Instance, hop, drop string, want uint64) {
	t.Helper()
	var drops map[string]uint64
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if drops = i.Hop(t, hop).Drops; drops[drop] >= want {
			return
		}
	}
	t.Errorf("drops of %s: %v; want %d as %s", hop, drops, want, drop)
}
