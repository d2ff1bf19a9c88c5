package host

import (
	"fmt"
	"net/netip"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// Ports of the relays.
const (
	EntryPort = 51820
	ExitPort  = 51821
)

// Relays are the two ends of the chain, as wireguard-go processes, and the keys
// of everybody.
type Relays struct {
	Entry, Exit *netlab.Tunnel

	OuterKey, InnerKey netlab.Key // the host's private keys
	EntryKey, ExitKey  netlab.Key // the relays' private keys
}

// StartRelays runs the two relays until the test ends. Their peers may have the
// tunnel addresses only, so that a relay takes nothing that was not translated.
func (n *Network) StartRelays(tb testing.TB) *Relays {
	tb.Helper()
	r := &Relays{
		OuterKey: netlab.NewKey(), InnerKey: netlab.NewKey(),
		EntryKey: netlab.NewKey(), ExitKey: netlab.NewKey(),
	}
	r.Entry = n.Entry.StartTunnel(tb, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("entry"), PrivateKey: r.EntryKey, ListenPort: EntryPort,
		Addrs:  e2e.Prefixes("10.64.0.1/32", "fd64::1/128"),
		Routes: e2e.Prefixes("10.64.0.0/24", "fd64::/64"),
		Peers:  []netlab.TunnelPeer{{PublicKey: r.OuterKey.Public(), AllowedIPs: hosts(Outer())}},
	})
	r.Exit = n.Exit.StartTunnel(tb, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("exit"), PrivateKey: r.ExitKey, ListenPort: ExitPort,
		Addrs:  e2e.Prefixes("10.65.0.1/32", "fd65::1/128"),
		Routes: e2e.Prefixes("10.65.0.0/24", "fd65::/64"),
		Peers:  []netlab.TunnelPeer{{PublicKey: r.InnerKey.Public(), AllowedIPs: hosts(Inner())}},
	})
	return r
}

func hosts(p e2e.Pair) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(p.V4, 32), netip.PrefixFrom(p.V6, 128)}
}

// EntryEndpoint is the entry's, of like's family.
func EntryEndpoint(like netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(EntryAddr().Of(like), EntryPort)
}

// A File is a wg-quick file or a profile, to be written to the host.
type File struct {
	Name string // NAME.conf
	Text string
}

// EntryFile is the host's file for the entry, as a provider makes them, whose
// endpoint is of like's family. More lines go into [Interface].
func (r *Relays) EntryFile(like netip.Addr, allowed string, more ...string) File {
	return file("entry.conf", r.OuterKey, Outer(), r.EntryKey, EntryEndpoint(like).String(), allowed, more)
}

// ExitFile is the host's file for the exit.
func (r *Relays) ExitFile(like netip.Addr, allowed string, more ...string) File {
	endpoint := netip.AddrPortFrom(ExitAddr().Of(like), ExitPort)
	return file("exit.conf", r.InnerKey, Inner(), r.ExitKey, endpoint.String(), allowed, more)
}

func file(name string, own netlab.Key, addrs e2e.Pair, peer netlab.Key, endpoint, allowed string, more []string) File {
	s := fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %v/32, %v/128\n", own.Base64(), addrs.V4, addrs.V6)
	for _, line := range more {
		s += line + "\n"
	}
	return File{name, s + fmt.Sprintf("\n[Peer]\nPublicKey = %s\nAllowedIPs = %s\nEndpoint = %s\n", peer.Public().Base64(), allowed, endpoint)}
}
