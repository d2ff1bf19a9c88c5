package e2e_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// Source ports of what is sent at a WireGuard port.
const (
	impostorPort = 6001 // a peer that the client knows: is answered
	strangerPort = 6002 // a handshake of a key that the client does not know
	garbagePort  = 6003
	replayPort   = 6004
)

// TestSilence sends what no peer of the client sent to the ports of its hops:
// the UDP port from the client's network, the link's port from behind the
// entry, inside the tunnel.
func TestSilence(t *testing.T) {
	for _, f := range families() {
		// Relays of their own for each family: wireguard-go's socket sends to a
		// wrong IPv6 address after it has sent to an IPv4 one (it reuses an
		// address whose slice it had shortened).
		n := newNetwork(t)
		r := n.StartRelays(t, e2e.RelayOptions{})
		t.Run("UDP port "+f.name, func(t *testing.T) {
			silence(t, n, r, attack{
				hop: "entry", like: f.like,
				from: n.Other, src: e2e.OtherAddr().Of(f.like), dst: e2e.ClientAddr().Of(f.like),
				peerKey: r.EntryKey, clientKey: r.OuterKey,
				genuine: netip.AddrPortFrom(e2e.EntryAddr().Of(f.like), e2e.EntryPort),
				watched: n.Client, dev: "eth0", client: true,
			})
		})
		t.Run("link's port "+f.name, func(t *testing.T) {
			silence(t, n, r, attack{
				hop: "exit", like: f.like,
				from: n.Near, src: e2e.NearAddr().Of(f.like), dst: e2e.Outer().Of(f.like),
				peerKey: r.ExitKey, clientKey: r.InnerKey,
				genuine: netip.AddrPortFrom(e2e.ExitAddr().Of(f.like), e2e.ExitPort),
				watched: n.Entry, dev: r.Entry.Config.Name,
			})
		})
	}
}

// An attack is where packets come from, go to, and are watched.
type attack struct {
	hop                string
	like               netip.Addr // family of the endpoints
	from               *netlab.Host
	src, dst           netip.Addr
	peerKey, clientKey netlab.Key     // private keys of the hop's two ends
	genuine            netip.AddrPort // the hop's real peer
	watched            *netlab.Host   // sees what passes between client and attacker
	dev                string
	client             bool // watched is the client itself
}

func silence(t *testing.T, n *e2e.Network, r *e2e.Relays, a attack) {
	chain := e2e.Chain{
		Entry: r.EntryConf(a.like, "198.51.100.2/32", "2001:db8:2::2/128", "203.0.113.0/25", "2001:db8:3::/64"),
		Exit:  r.ExitConf(a.like, "203.0.113.128/25", "2001:db8:4::/64"),
	}
	chain.Entry.Peers[0].Keepalive, chain.Exit.Peers[0].Keepalive = 1, 1
	capture := func(t *testing.T, ports ...uint16) *netlab.Capture {
		return a.watched.Capture(t, a.dev, netlab.CaptureOptions{
			Match: func(p *netlab.Packet) bool {
				if p.Outgoing != a.client || p.Dst.Addr() != a.src {
					return false // not from the client to the attacker
				}
				if p.Proto != netlab.ProtoUDP {
					return !p.Neighbourly() // an ICMP error is an answer, too
				}
				for _, port := range ports {
					if p.Dst.Port() == port {
						return true
					}
				}
				return false
			},
		})
	}

	// The detector: somebody who has the peer's key is answered, whatever his
	// address, and that is seen.
	t.Run("detector", func(t *testing.T) {
		i := n.Run(t, chain)
		handshakes(t, i, patience)
		answers := capture(t, impostorPort)
		p := a.tunnel(t, n, i, a.peerKey, impostorPort)
		if !answers.Wait(1, patience) {
			t.Fatalf("a known peer's handshake at %s was not answered", a.dst)
		}
		p.Stop()
		_ = i.Stop()
	})

	i := n.Run(t, chain)
	sniffed := a.watched.Capture(t, a.dev, netlab.CaptureOptions{
		Match: func(p *netlab.Packet) bool {
			return p.Outgoing != a.client && p.Proto == netlab.ProtoUDP && p.Src == a.genuine && p.Len <= len(p.Data) // whole
		},
	})
	handshakes(t, i, patience)
	reaches(t, n, e2e.FarAddr().Of(a.like), e2e.Inner().Of(a.like))
	answers := capture(t, strangerPort, garbagePort, replayPort)
	to := netip.AddrPortFrom(a.dst, i.Hop(t, a.hop).ListenPort)

	stranger := a.tunnel(t, n, i, netlab.NewKey(), strangerPort)
	for _, b := range garbage() {
		a.send(t, garbagePort, to, b)
	}
	genuine := sniffed.Packets()
	if len(genuine) < 3 {
		t.Fatalf("only %d datagrams of the real peer to replay", len(genuine))
	}
	for _, p := range genuine {
		a.send(t, replayPort, to, p.Payload)
	}
	time.Sleep(6 * time.Second) // the stranger tries again after 5 s
	stranger.Stop()
	if answers.Count() != 0 {
		t.Errorf("answers: %s", answers.Report())
	}
	reaches(t, n, e2e.FarAddr().Of(a.like), e2e.Inner().Of(a.like)) // and nothing was disturbed
	_ = i.Stop()
}

// tunnel runs a wireguard-go at the attacker that speaks to the hop's port as
// the peer with the private key.
func (a *attack) tunnel(t *testing.T, n *e2e.Network, i *e2e.Instance, key netlab.Key, port uint16) *netlab.Tunnel {
	t.Helper()
	return a.from.StartTunnel(t, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("spy"), PrivateKey: key, ListenPort: port,
		Peers: []netlab.TunnelPeer{{
			PublicKey: a.clientKey.Public(),
			Endpoint:  netip.AddrPortFrom(a.dst, i.Hop(t, a.hop).ListenPort),
			Keepalive: 1,
		}},
	})
}

func (a *attack) send(t *testing.T, port uint16, to netip.AddrPort, payload []byte) {
	t.Helper()
	if err := a.from.Send(netlab.Datagram(netip.AddrPortFrom(a.src, port), to, payload)); err != nil {
		t.Fatal(err)
	}
}

// garbage is datagrams of every size that has a meaning, with every message
// type, and random ones.
func garbage() [][]byte {
	var all [][]byte
	for _, size := range []int{0, 1, 4, 31, 32, 64, 92, 147, 148, 149, 1000, 1380} {
		for kind := range uint32(6) {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(rand.Uint32())
			}
			if size >= 4 && kind > 0 {
				binary.LittleEndian.PutUint32(b, kind)
			}
			all = append(all, b)
		}
	}
	return all
}
