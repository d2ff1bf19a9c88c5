package e2e_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// bulk is the size of a TCP transfer, for each route in each direction.
const bulk = 256 << 20

// providerRoutes send near through the entry and far through the exit, out of
// two files that say /0.
func providerRoutes() []string {
	return []string{
		"entry=203.0.113.0/25", "entry=2001:db8:3::/64",
		"exit=203.0.113.128/25", "2001:db8:4::/64", // without a name: the innermost
	}
}

// TestMainPath is the reason that the program exists: two files whose
// AllowedIPs are everything, some prefixes through the entry alone, others
// through both, at once, with IPv4 and IPv6 payloads over IPv4 and IPv6
// endpoints; and nobody sees a packet that is not on its way.
func TestMainPath(t *testing.T) {
	for _, f := range families() {
		t.Run(f.name+" endpoints", func(t *testing.T) { mainPath(t, f.like) })
	}
}

func mainPath(t *testing.T, like netip.Addr) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	direct := e2e.NearAddr().Both()
	w := n.Watch(t, r, like, e2e.WatchOptions{Direct: direct})
	w.Prove(t)
	n.Run(t, e2e.Chain{
		Entry:  r.EntryConf(like, "0.0.0.0/0", "::/0"),
		Exit:   r.ExitConf(like, "0.0.0.0/0", "::/0"),
		Routes: providerRoutes(),
	})
	pings := pingSources(t, n)
	for _, f := range families() {
		t.Run(f.name+" payloads", func(t *testing.T) {
			near, far := e2e.NearAddr().Of(f.like), e2e.FarAddr().Of(f.like)
			reaches(t, n, near, e2e.Outer().Of(f.like))
			reaches(t, n, far, e2e.Inner().Of(f.like))
			t.Run("TCP", func(t *testing.T) {
				for _, route := range []struct{ addr, want netip.Addr }{
					{near, e2e.Outer().Of(f.like)}, {far, e2e.Inner().Of(f.like)},
				} {
					t.Run(route.addr.String(), func(t *testing.T) {
						t.Parallel() // both routes at once
						transfers(t, n, route.addr, route.want, bulk)
					})
				}
			})
		})
	}
	pings(t)
	w.Check(t)
	w.Prove(t) // still
}

// pingSources watches near and far for echo requests. The function that it
// returns checks that they came, and only from the right tunnel's address.
func pingSources(t *testing.T, n *e2e.Network) func(*testing.T) {
	t.Helper()
	captures := make(map[netip.Addr]*netlab.Capture)
	for _, f := range families() {
		for _, at := range []struct {
			host *netlab.Host
			addr e2e.Pair
		}{{n.Near, e2e.NearAddr()}, {n.Far, e2e.FarAddr()}} {
			addr := at.addr.Of(f.like)
			captures[addr] = at.host.Capture(t, "eth0", netlab.CaptureOptions{
				Match: func(p *netlab.Packet) bool {
					return p.Dst.Addr() == addr && (p.Proto == netlab.ProtoICMP && p.ICMPType == 8 ||
						p.Proto == netlab.ProtoICMPv6 && p.ICMPType == 128)
				},
				Without: []netlab.Flow{{Proto: netlab.ProtoTCP, A: netip.AddrPortFrom(addr, netlab.TransferPort)}},
			})
		}
	}
	return func(t *testing.T) {
		t.Helper()
		for addr, c := range captures {
			want := e2e.Outer()
			if addr == e2e.FarAddr().Of(addr) {
				want = e2e.Inner()
			}
			packets := c.Packets()
			if len(packets) == 0 {
				t.Errorf("%v saw no ping", addr)
			}
			for _, p := range packets {
				if p.Src.Addr() != want.Of(addr) {
					t.Errorf("%v saw a ping from %v, want %v", addr, p.Src.Addr(), want.Of(addr))
				}
			}
		}
	}
}

// TestFiles takes the routes from the files: AllowedIPs lists, a key, addresses
// and a resolver that both files share, a preshared key, keepalives.
func TestFiles(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{Shared: true, Preshared: true})
	like := e2e.NearAddr().V4
	entry := r.EntryConf(like, "198.51.100.0/24", "203.0.113.0/25", "2001:db8:3::/64")
	exit := r.ExitConf(like, "203.0.113.128/25", "2001:db8:4::/64")
	entry.DNS, exit.DNS = "10.64.0.1", "10.64.0.1"
	entry.Peers[0].Keepalive, exit.Peers[0].Keepalive = 1, 1
	w := n.Watch(t, r, like, e2e.WatchOptions{Direct: e2e.NearAddr().Both()})
	w.Prove(t)

	// Keepalives alone, before any traffic, bring both tunnels up.
	i := n.Run(t, e2e.Chain{Entry: entry, Exit: exit})
	handshakes(t, i, patience)
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			near, far, want := e2e.NearAddr().Of(f.like), e2e.FarAddr().Of(f.like), e2e.Outer().Of(f.like)
			reaches(t, n, near, want)
			reaches(t, n, far, want)
			transfers(t, n, near, want, 8<<20)
			transfers(t, n, far, want, 8<<20)
		})
	}
	t.Run("keepalives", func(t *testing.T) {
		before := i.Hop(t, "exit").Peers[0].TxBytes
		time.Sleep(5 * time.Second)
		// A keepalive is 32 bytes; the status is polled.
		if after := i.Hop(t, "exit").Peers[0].TxBytes; after < before+2*32 {
			t.Errorf("an idle hop with keepalives every second sent %d bytes in 5 s", after-before)
		}
		if k := i.Hop(t, "exit").Peers[0].Keepalive; k != time.Second {
			t.Errorf("keepalive %v, want 1 s", k)
		}
	})
	w.Check(t)
}

// handshakes waits until every hop has had one.
func handshakes(t *testing.T, i *e2e.Instance, within time.Duration) {
	t.Helper()
	var missing string
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		s, err := i.Status()
		if err != nil {
			t.Fatal(err)
		}
		missing = ""
		for _, h := range s.Hops {
			if h.Peers[0].LatestHandshake.IsZero() {
				missing = fmt.Sprintf("%s %s", missing, h.Name)
			}
		}
		if missing == "" {
			return
		}
	}
	t.Errorf("no handshake within %v: hops%s", within, missing)
}

// TestTwoPeers has an exit whose file lists two peers, each with prefixes of
// its own.
func TestTwoPeers(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	like := e2e.NearAddr().V4
	// The second peer is near itself, which answers inside the tunnel, too.
	key := netlab.NewKey()
	second := n.Near.StartTunnel(t, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("second"), PrivateKey: key, ListenPort: 51822,
		Addrs:  e2e.Prefixes("10.66.0.1/32", "fd66::1/128"),
		Routes: e2e.Prefixes("10.65.0.2/32", "fd65::2/128"),
		Peers:  []netlab.TunnelPeer{{PublicKey: r.InnerKey.Public(), AllowedIPs: e2e.Prefixes("10.65.0.2/32", "fd65::2/128")}},
	})
	exit := r.ExitConf(like, "203.0.113.128/25", "2001:db8:4::/64")
	exit.Peers = append(exit.Peers, e2e.ConfPeer{
		PublicKey:  key.Public(),
		Endpoint:   netip.AddrPortFrom(e2e.NearAddr().Of(like), second.Config.ListenPort),
		AllowedIPs: []string{"10.66.0.0/24", "fd66::/64"},
	})
	i := n.Run(t, e2e.Chain{Entry: r.EntryConf(like, "198.51.100.2/32", "203.0.113.2/32"), Exit: exit})
	if peers := i.Hop(t, "exit").Peers; len(peers) != 2 {
		t.Fatalf("hop exit has %d peers, want 2", len(peers))
	}
	first := n.Exit.Capture(t, r.Exit.Config.Name, netlab.CaptureOptions{})
	own := n.Near.Capture(t, second.Config.Name, netlab.CaptureOptions{})
	tests := []struct {
		name         string
		addr         e2e.Pair
		taken, other *netlab.Capture
	}{
		{"first peer", e2e.FarAddr(), first, own},
		{"second peer", e2e.Pair{V4: netip.MustParseAddr("10.66.0.1"), V6: netip.MustParseAddr("fd66::1")}, own, first},
	}
	for _, tt := range tests {
		for _, f := range families() {
			t.Run(tt.name+" "+f.name, func(t *testing.T) {
				addr, want := tt.addr.Of(f.like), e2e.Inner().Of(f.like)
				tt.taken.Reset()
				tt.other.Reset()
				reaches(t, n, addr, want)
				transfers(t, n, addr, want, 8<<20)
				if tt.taken.Count() == 0 {
					t.Error("the detector is blind: no packet in its peer's tunnel")
				}
				for _, p := range tt.other.Packets() {
					if p.Src.Addr() == addr || p.Dst.Addr() == addr {
						t.Errorf("in the other peer's tunnel: %v", &p)
					}
				}
			})
		}
	}
}

// TestSaturatedFlow: of a single flow that goes as fast as two hops can, nothing is
// lost inside the router. A machine without a free processor may make a queue overflow
// once: so one of a few transfers must do. What it loses, it counts.
func TestSaturatedFlow(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	like := e2e.FarAddr().V4
	i := n.Run(t, e2e.Chain{
		Entry:  r.EntryConf(like, "0.0.0.0/0", "::/0"),
		Exit:   r.ExitConf(like, "0.0.0.0/0", "::/0"),
		Routes: providerRoutes(),
	})
	transfers(t, n, like, e2e.Inner().V4, 1<<20) // what the start costs is none of it
	for range 5 {
		lost, passed, _ := lossOf(t, i)
		transfers(t, n, like, e2e.Inner().V4, bulk)
		nowLost, nowPassed, s := lossOf(t, i)
		if nowPassed-passed < 2*bulk/1500 {
			t.Fatalf("%d packets passed: %+v", nowPassed-passed, s)
		}
		if nowLost == lost {
			return
		}
		t.Logf("%d of %d packets lost: %+v", nowLost-lost, nowPassed-passed, s)
	}
	t.Error("each transfer lost packets inside the router")
}

// lossOf returns how many packets an instance has dropped and carried so far, once it is
// idle: what is inside a device is no loss.
func lossOf(t *testing.T, i *e2e.Instance) (lost, passed uint64, s *e2e.Status) {
	t.Helper()
	for range 50 {
		var err error
		if s, err = i.Status(); err != nil {
			t.Fatal(err)
		}
		lost, passed = 0, 0
		drops := []map[string]uint64{s.Drops}
		inside := uint64(0)
		for _, h := range s.Hops {
			drops = append(drops, h.Drops)
			passed += h.Out + h.In
			inside += h.Drops["device_in"] + h.Drops["device_out"]
		}
		for _, d := range drops {
			for _, count := range d {
				lost += count
			}
		}
		if inside == 0 {
			return lost, passed, s
		}
		time.Sleep(20 * time.Millisecond)
	}
	return lost, passed, s
}
