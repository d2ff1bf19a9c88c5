package flood_test

import (
	"net/netip"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

const (
	// small is the payload of a UDP packet of 64 bytes.
	small = 64 - 20 - 8

	// smallRate is the packets a second of all senders together. The relays
	// queue without bounds what they cannot carry, and answer later.
	smallRate = 240_000
)

// TestSmallPackets sends small packets through every hop, both ways at once.
func TestSmallPackets(t *testing.T) {
	tests := []struct {
		name  string
		goals []goal
		bound int64
	}{
		{"two hops", []goal{near(), far()}, twoHops},
		{"three hops", []goal{near(), far(), deep()}, threeHops},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			r := n.StartRelays(t, e2e.RelayOptions{})
			chain := twoHopChain(r)
			from := []*netlab.Host{n.Near, n.Far}
			if len(tt.goals) == 3 {
				chain = inward(t, n, chain)
				from = append(from, n.Far) // the innermost relay's host
			}
			i := n.Run(t, chain)
			answers(t, n, patience, tt.goals...)
			before, after := flood{
				net: n, on: i, bound: tt.bound, after: tt.goals,
				senders: func(t *testing.T) (all []*sender) {
					p := payload{sizes: []int{small}, segments: few, rate: smallRate / int64(2*len(tt.goals))}
					for k, g := range tt.goals {
						all = append(all,
							send(t, n.Client, netip.AddrPortFrom(g.addr, sinkPort), p),
							send(t, from[k], netip.AddrPortFrom(g.source, sinkPort), p))
					}
					return all
				},
			}.run(t)
			for k := range tt.goals {
				out, in := after.Hops[k].Out-before.Hops[k].Out, after.Hops[k].In-before.Hops[k].In
				if out < arrived || in < arrived {
					t.Errorf("%s: %d packets went out and %d came in: no flood", after.Hops[k].Name, out, in)
				}
			}
		})
	}
}

// deep is the innermost relay itself, in a chain of three hops.
func deep() goal {
	return goal{netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("10.66.0.2")}
}

// inward starts a relay on far and puts a hop to it inside the exit.
func inward(t *testing.T, n *e2e.Network, chain e2e.Chain) e2e.Chain {
	t.Helper()
	const port = 51822
	relay, own := netlab.NewKey(), netlab.NewKey()
	n.Far.StartTunnel(t, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("deep"), PrivateKey: relay, ListenPort: port,
		Addrs:  e2e.Prefixes("10.66.0.1/32"),
		Routes: e2e.Prefixes("10.66.0.2/32"),
		Peers:  []netlab.TunnelPeer{{PublicKey: own.Public(), AllowedIPs: e2e.Prefixes("10.66.0.2/32")}},
	})
	n.Exit.LimitSuperPackets("eth1", superPacket)
	chain.Inner = []*e2e.Conf{{
		PrivateKey: own, Addrs: []netip.Addr{deep().source},
		Peers: []e2e.ConfPeer{{
			PublicKey:  relay.Public(),
			Endpoint:   netip.AddrPortFrom(far().addr, port),
			AllowedIPs: []string{"10.66.0.1/32"},
		}},
	}}
	return chain
}
