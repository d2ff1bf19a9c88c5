package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"multihop/internal/netlab"
)

// ClientAddr is the client's.
func ClientAddr() Pair { return pair("192.0.2.2", "2001:db8:1::2") }

// OtherAddr is that of the other host on the client's LAN.
func OtherAddr() Pair { return pair("192.0.2.66", "2001:db8:1::66") }

// EntryAddr is the entry relay's, on the client's LAN.
func EntryAddr() Pair { return pair("192.0.2.1", "2001:db8:1::1") }

// ExitAddr is the exit relay's.
func ExitAddr() Pair { return pair("198.51.100.2", "2001:db8:2::2") }

// NearAddr is that of the target behind the entry.
func NearAddr() Pair { return pair("203.0.113.2", "2001:db8:3::2") }

// FarAddr is that of the target behind the exit.
func FarAddr() Pair { return pair("203.0.113.130", "2001:db8:4::2") }

// Outer is the client's addresses in the tunnel to the entry.
func Outer() Pair { return pair("10.64.0.2", "fd64::2") }

// Inner is the client's addresses in the tunnel to the exit.
func Inner() Pair { return pair("10.65.0.2", "fd65::2") }

// Ports of the relays.
const (
	EntryPort = 51820
	ExitPort  = 51821
)

// A Pair is an address of each family.
type Pair struct{ V4, V6 netip.Addr }

func pair(v4, v6 string) Pair { return Pair{netip.MustParseAddr(v4), netip.MustParseAddr(v6)} }

// Of returns the address of like's family.
func (p Pair) Of(like netip.Addr) netip.Addr {
	if like.Is4() {
		return p.V4
	}
	return p.V6
}

// Both returns the two addresses.
func (p Pair) Both() []netip.Addr { return []netip.Addr{p.V4, p.V6} }

// A Network is the hosts and wires of the package comment, with forwarding,
// and without relays.
type Network struct {
	*netlab.Lab
	Client, Other, Entry, Exit, Near, Far *netlab.Host
	Programs                              *Programs
}

// NewNetwork makes a Network that ends with the test. Near and Far serve as
// targets.
func NewNetwork(tb testing.TB, programs *Programs) *Network {
	tb.Helper()
	l := netlab.New(tb)
	tb.Cleanup(func() { // what a killed multihop leaves; runs last
		for _, dir := range []string{"/run/multihop", "/var/run/wireguard"} {
			left, _ := filepath.Glob(filepath.Join(dir, l.Unique("")+"*.sock"))
			for _, path := range left {
				_ = os.Remove(path)
			}
		}
	})
	n := &Network{
		Lab: l, Programs: programs,
		Client: l.Host("client"), Other: l.Host("other"),
		Entry: l.Host("entry"), Exit: l.Host("exit"),
		Near: l.Host("near"), Far: l.Host("far"),
	}
	lan := l.Host("lan")
	l.Wire(n.Client, "eth0", lan, "port0")
	l.Wire(n.Other, "eth0", lan, "port1")
	l.Wire(n.Entry, "eth0", lan, "port2")
	lan.Bridge("br0", "port0", "port1", "port2")
	l.Wire(n.Entry, "eth1", n.Exit, "eth0")
	l.Wire(n.Entry, "eth2", n.Near, "eth0")
	l.Wire(n.Exit, "eth1", n.Far, "eth0")

	n.Client.Addr("eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	n.Other.Addr("eth0", "192.0.2.66/24", "2001:db8:1::66/64")
	n.Entry.Addr("eth0", "192.0.2.1/24", "2001:db8:1::1/64")
	n.Entry.Addr("eth1", "198.51.100.1/24", "2001:db8:2::1/64")
	n.Entry.Addr("eth2", "203.0.113.1/25", "2001:db8:3::1/64")
	n.Exit.Addr("eth0", "198.51.100.2/24", "2001:db8:2::2/64")
	n.Exit.Addr("eth1", "203.0.113.129/25", "2001:db8:4::1/64")
	n.Near.Addr("eth0", "203.0.113.2/25", "2001:db8:3::2/64")
	n.Far.Addr("eth0", "203.0.113.130/25", "2001:db8:4::2/64")

	n.Entry.Forward()
	n.Exit.Forward()
	n.Entry.Via("198.51.100.2", "203.0.113.128/25", "10.65.0.0/24")
	n.Entry.Via("2001:db8:2::2", "2001:db8:4::/64", "fd65::/64")
	for _, d := range []struct {
		h      *netlab.Host
		v4, v6 string
	}{
		{n.Client, "192.0.2.1", "2001:db8:1::1"},
		{n.Other, "192.0.2.1", "2001:db8:1::1"},
		{n.Exit, "198.51.100.1", "2001:db8:2::1"},
		{n.Near, "203.0.113.1", "2001:db8:3::1"},
		{n.Far, "203.0.113.129", "2001:db8:4::1"},
	} {
		d.h.Via(d.v4, "0.0.0.0/0")
		d.h.Via(d.v6, "::/0")
	}
	n.Near.ServeTarget(tb)
	n.Far.ServeTarget(tb)
	return n
}

// Programs are the paths of what a Network runs.
type Programs struct {
	Multihop    string
	WireGuardGo string
}

// BuildPrograms compiles them into dir. MULTIHOP_RACE=1 in the environment
// builds multihop with the race detector, whose reports the tests then look
// for; throughput falls. MULTIHOP_PROGRAM names a multihop that is built
// already.
func BuildPrograms(dir string) (*Programs, error) {
	wg, err := netlab.Build(dir, netlab.WireGuardGo)
	if err != nil {
		return nil, err
	}
	if built := os.Getenv("MULTIHOP_PROGRAM"); built != "" {
		return &Programs{built, wg}, nil
	}
	var flags []string
	if Race() {
		flags = []string{"-race"}
	}
	mh, err := netlab.Build(dir, "multihop/cmd/multihop", flags...)
	return &Programs{mh, wg}, err
}

// Race reports whether multihop is built with the race detector.
func Race() bool { return os.Getenv("MULTIHOP_RACE") == "1" }
