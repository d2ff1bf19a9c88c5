package host

import (
	"net/netip"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// OtherPort is that of the other relay, on the exit's host.
const OtherPort = 51830

// OtherAddr is the host's addresses in the tunnel to the other relay,
// 10.99.0.0/24.
func OtherAddr() e2e.Pair { return pair("10.99.0.2", "fd99::2") }

// OtherInside is the other relay's addresses in that tunnel.
func OtherInside() e2e.Pair { return pair("10.99.0.1", "fd99::1") }

// An Other is a relay that is not of the chain, for a tunnel beside it.
type Other struct{ key, peer netlab.Key }

// StartOther runs it until the test ends.
func (n *Network) StartOther(tb testing.TB) *Other {
	tb.Helper()
	o := &Other{key: netlab.NewKey(), peer: netlab.NewKey()}
	n.Exit.StartTunnel(tb, n.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: n.Unique("other"), PrivateKey: o.peer, ListenPort: OtherPort,
		Addrs:  e2e.Prefixes("10.99.0.1/32", "fd99::1/128"),
		Routes: e2e.Prefixes("10.99.0.0/24", "fd99::/64"),
		Peers:  []netlab.TunnelPeer{{PublicKey: o.key.Public(), AllowedIPs: hosts(OtherAddr())}},
	})
	n.Internet.Via(ExitAddr().V4.String(), "10.99.0.0/24")
	n.Internet.Via(ExitAddr().V6.String(), "fd99::/64")
	return o
}

// Endpoint is the relay's.
func (o *Other) Endpoint() netip.AddrPort { return netip.AddrPortFrom(ExitAddr().V4, OtherPort) }

// File is the host's file for the other relay. More lines go into [Interface].
func (o *Other) File(name, allowed string, more ...string) File {
	return file(name, o.key, OtherAddr(), o.peer, o.Endpoint().String(), allowed, more)
}
