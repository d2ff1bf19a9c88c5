package e2e

import (
	"net/netip"
	"testing"

	"multihop/internal/netlab"
)

// Relays are the two ends of a chain, as wireguard-go processes, and the keys
// of everybody.
type Relays struct {
	Entry, Exit *netlab.Tunnel

	OuterKey, InnerKey netlab.Key // the client's private keys
	EntryKey, ExitKey  netlab.Key // the relays' private keys
	Preshared          netlab.Key // of the inner tunnel; zero: none
}

// RelayOptions change what StartRelays does.
type RelayOptions struct {
	// Shared gives the client the same key and addresses (Outer) in both
	// tunnels, as one account at a provider has.
	Shared bool

	// Preshared gives the inner tunnel a preshared key.
	Preshared bool

	// Open makes the peers' AllowedIPs at the relays everything: each relay
	// sends the client whatever is put into its tunnel.
	Open bool
}

// exitMark is on the exit relay's own datagrams.
const exitMark = 7

// StartRelays runs the two relays, until the test ends. Unless they are Open,
// their peers may have the tunnel addresses only, so that a relay takes nothing
// that was not translated.
func (n *Network) StartRelays(tb testing.TB, o RelayOptions) *Relays {
	tb.Helper()
	r := &Relays{
		OuterKey: netlab.NewKey(), InnerKey: netlab.NewKey(),
		EntryKey: netlab.NewKey(), ExitKey: netlab.NewKey(),
	}
	inner, innerNets, innerOwn := Inner(), Prefixes("10.65.0.0/24", "fd65::/64"), Prefixes("10.65.0.1/32", "fd65::1/128")
	if o.Shared {
		r.InnerKey, inner = r.OuterKey, Outer()
		innerNets, innerOwn = Prefixes("10.64.0.0/24", "fd64::/64"), Prefixes("10.64.0.1/32", "fd64::1/128")
		// At the exit the outer and the inner address are the same: what the
		// relay itself sends is for the outer one.
		n.Exit.Detour(exitMark, "198.51.100.1", "2001:db8:2::1")
	}
	outerPeer, innerPeer := hosts(Outer()), hosts(inner)
	if o.Open {
		outerPeer = Prefixes("0.0.0.0/0", "::/0")
		innerPeer = outerPeer
	}
	if o.Preshared {
		r.Preshared = netlab.NewKey()
	}
	r.Entry = n.Entry.StartTunnel(tb, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("entry"), PrivateKey: r.EntryKey, ListenPort: EntryPort,
		Addrs:  Prefixes("10.64.0.1/32", "fd64::1/128"),
		Routes: Prefixes("10.64.0.0/24", "fd64::/64"),
		Peers:  []netlab.TunnelPeer{{PublicKey: r.OuterKey.Public(), AllowedIPs: outerPeer}},
	})
	r.Exit = n.Exit.StartTunnel(tb, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("exit"), PrivateKey: r.ExitKey, ListenPort: ExitPort, FwMark: exitMark,
		Addrs:  innerOwn,
		Routes: innerNets,
		Peers:  []netlab.TunnelPeer{{PublicKey: r.InnerKey.Public(), PresharedKey: r.Preshared, AllowedIPs: innerPeer}},
	})
	return r
}

func hosts(p Pair) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(p.V4, 32), netip.PrefixFrom(p.V6, 128)}
}

// Prefixes parses its arguments.
func Prefixes(ss ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		ps[i] = netip.MustParsePrefix(s)
	}
	return ps
}

// EntryConf is the client's wg-quick file for the entry, whose endpoint is of
// like's family.
func (r *Relays) EntryConf(like netip.Addr, allowed ...string) *Conf {
	return &Conf{
		PrivateKey: r.OuterKey, Addrs: Outer().Both(),
		Peers: []ConfPeer{{
			PublicKey:  r.EntryKey.Public(),
			Endpoint:   netip.AddrPortFrom(EntryAddr().Of(like), EntryPort),
			AllowedIPs: allowed,
		}},
	}
}

// ExitConf is the client's wg-quick file for the exit.
func (r *Relays) ExitConf(like netip.Addr, allowed ...string) *Conf {
	addrs := Inner().Both()
	if r.InnerKey == r.OuterKey {
		addrs = Outer().Both()
	}
	return &Conf{
		PrivateKey: r.InnerKey, Addrs: addrs,
		Peers: []ConfPeer{{
			PublicKey:    r.ExitKey.Public(),
			PresharedKey: r.Preshared,
			Endpoint:     netip.AddrPortFrom(ExitAddr().Of(like), ExitPort),
			AllowedIPs:   allowed,
		}},
	}
}
