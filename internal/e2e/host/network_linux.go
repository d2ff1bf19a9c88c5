package host

import (
	"fmt"
	"net/netip"
	"testing"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// A Network is the hosts and wires of the package comment, without relays.
type Network struct {
	*netlab.Lab
	Host, Guest, Neighbour, Internet, Entry, Exit *netlab.Host
	Programs                                      *e2e.Programs

	lan     *netlab.Host // the switch
	ip      string       // paths of programs
	records *Records
}

func pair(v4, v6 string) e2e.Pair {
	return e2e.Pair{V4: netip.MustParseAddr(v4), V6: netip.MustParseAddr(v6)}
}

// HostAddr is the host's on the LAN. It has a public IPv6 address there, too:
// HostPublic.
func HostAddr() e2e.Pair { return pair("192.168.7.2", "fd07::2") }

// HostPublic is the host's public IPv6 address.
func HostPublic() netip.Addr { return netip.MustParseAddr("2001:db8:7::2") }

// GuestAddr is the guest's, behind the host.
func GuestAddr() e2e.Pair { return pair("172.16.5.2", "fd05::2") }

// NeighbourAddr is the neighbour's on the LAN.
func NeighbourAddr() e2e.Pair { return pair("192.168.7.66", "fd07::66") }

// RouterAddr is that of the LAN's router, its resolver as well.
func RouterAddr() e2e.Pair { return pair("192.168.7.1", "fd07::1") }

// EntryAddr is the entry relay's.
func EntryAddr() e2e.Pair { return pair("198.51.100.10", "2001:db8:e::10") }

// ExitAddr is the exit relay's.
func ExitAddr() e2e.Pair { return pair("198.51.100.130", "2001:db8:f::130") }

// Outer is the host's addresses in the tunnel to the entry.
func Outer() e2e.Pair { return pair("10.64.0.2", "fd64::2") }

// Inner is the host's addresses in the tunnel to the exit.
func Inner() e2e.Pair { return pair("10.65.0.2", "fd65::2") }

// ExitInside is the exit relay's own addresses in the inner tunnel; it has a
// resolver there.
func ExitInside() e2e.Pair { return pair("10.65.0.1", "fd65::1") }

// Site is the i-th site of the internet, i < 200.
func Site(i int) e2e.Pair {
	return e2e.Pair{
		V4: netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + i)}),
		V6: netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x99, 15: byte(10 + i)}),
	}
}

// NewNetwork makes a Network that ends with the test. The sites, the entry, the
// exit, the neighbour and the guest serve.
func NewNetwork(tb testing.TB, programs *e2e.Programs) *Network {
	tb.Helper()
	l := netlab.New(tb)
	n := &Network{
		Lab: l, Programs: programs, ip: netlab.RequireTool(tb, "ip", "iproute2"), records: new(Records),
		Host: l.Machine("host"), Guest: l.Host("guest"), Neighbour: l.Host("neighbour"),
		Internet: l.Host("internet"), Entry: l.Host("entry"), Exit: l.Host("exit"), lan: l.Host("lan"),
	}
	n.wire()
	n.address()
	for _, d := range []struct {
		h      *netlab.Host
		v4, v6 string
	}{
		{n.Host, "192.168.7.1", "2001:db8:7::1"},
		{n.Neighbour, "192.168.7.1", "2001:db8:7::1"},
		{n.Guest, "172.16.5.1", "fd05::1"},
		{n.Entry, "198.51.100.1", "2001:db8:e::1"},
		{n.Exit, "198.51.100.129", "2001:db8:f::1"},
	} {
		d.h.Via(d.v4, "0.0.0.0/0")
		d.h.Via(d.v6, "::/0")
	}
	n.Internet.Via("198.51.100.10", "10.64.0.0/24")
	n.Internet.Via("2001:db8:e::10", "fd64::/64")
	n.Internet.Via("198.51.100.130", "10.65.0.0/24")
	n.Internet.Via("2001:db8:f::130", "fd65::/64")
	n.Internet.Own("203.0.113.0/24", "2001:db8:99::/64", "9.9.9.9/32", "2620:fe::9/128")
	for _, h := range []*netlab.Host{n.Host, n.Internet, n.Entry, n.Exit} {
		h.Forward()
	}
	n.Masquerade(tb)
	n.Write(tb, "/etc", File{"resolv.conf", fmt.Sprintf("nameserver %v\n", RouterAddr().V4)})
	n.Must(tb, "chmod", "644", "/etc/resolv.conf")
	for _, h := range []*netlab.Host{n.Internet, n.Entry, n.Exit, n.Neighbour, n.Guest} {
		h.ServeTarget(tb)
		serve(tb, h, n.records)
	}
	return n
}

func (n *Network) wire() {
	n.Wire(n.Host, "eth0", n.lan, "port0")
	n.Wire(n.Neighbour, "eth0", n.lan, "port1")
	n.Wire(n.Internet, "eth0", n.lan, "port2")
	n.lan.Bridge("br0", "port0", "port1", "port2")
	n.Wire(n.Host, "eth1", n.Guest, "eth0")
	n.Wire(n.Internet, "eth1", n.Entry, "eth0")
	n.Wire(n.Internet, "eth2", n.Exit, "eth0")
}

func (n *Network) address() {
	n.Host.Addr("eth0", "192.168.7.2/24", "fd07::2/64", "2001:db8:7::2/64")
	n.Host.Addr("eth1", "172.16.5.1/24", "fd05::1/64")
	n.Guest.Addr("eth0", "172.16.5.2/24", "fd05::2/64")
	n.Neighbour.Addr("eth0", "192.168.7.66/24", "fd07::66/64", "2001:db8:7::66/64")
	n.Internet.Addr("eth0", "192.168.7.1/24", "fd07::1/64", "2001:db8:7::1/64")
	n.Internet.Addr("eth1", "198.51.100.1/25", "2001:db8:e::1/64")
	n.Internet.Addr("eth2", "198.51.100.129/25", "2001:db8:f::1/64")
	n.Entry.Addr("eth0", "198.51.100.10/25", "2001:db8:e::10/64")
	n.Exit.Addr("eth0", "198.51.100.130/25", "2001:db8:f::130/64")
}

// Masquerade makes the host translate its guest's addresses, in a table that is
// the administrator's own. If that is there already, it stays.
func (n *Network) Masquerade(tb testing.TB) {
	tb.Helper()
	netlab.RequireTool(tb, "nft", "nftables")
	if _, err := n.Run("nft", "list", "table", "inet", "hotspot"); err == nil {
		return
	}
	n.Must(tb, "nft", "table inet hotspot { chain post { type nat hook postrouting priority srcnat; "+
		"ip saddr 172.16.5.0/24 masquerade; ip6 saddr fd05::/64 masquerade; }; }")
}
