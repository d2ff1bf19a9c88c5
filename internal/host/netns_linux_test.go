package host

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// newHost moves the test to a network namespace of its own with an uplink
// "eth0" (192.0.2.2/24, 2001:db8::2/64, default routes) and a TUN "mh0".
func newHost(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun")
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			return // the thread stays locked, and ends with the test
		}
		_ = ns.Close()
		_ = before.Close()
		runtime.UnlockOSThread()
	})
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", MTU: 1492}, PeerName: "peer0"}))
	up(t, "lo")
	up(t, "peer0")
	up(t, "eth0")
	for _, s := range []string{"192.0.2.2/24", "2001:db8::2/64"} {
		must(t, netlink.AddrAdd(link(t, "eth0"), &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(s)), Flags: unix.IFA_F_NODAD}))
	}
	for dst, gw := range map[string]string{"0.0.0.0/0": "192.0.2.1", "::/0": "2001:db8::1"} {
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
			Dst: ipNet(netip.MustParsePrefix(dst)), Gw: netip.MustParseAddr(gw).AsSlice()}))
	}
	must(t, netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "mh0"}, Mode: netlink.TUNTAP_MODE_TUN}))
}

// snapshot returns all addresses and routes of the namespace, and mh0's state.
func snapshot(t *testing.T) []string {
	t.Helper()
	all := append(of(t, "eth0"), of(t, "mh0")...)
	return append(all, link(t, "mh0").Attrs().Flags.String())
}

// of returns the addresses of an interface and its routes in the table main,
// sorted.
func of(t *testing.T, name string) []string {
	t.Helper()
	l := link(t, name)
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	must(t, err)
	var out []string
	for _, a := range addrs {
		out = append(out, "addr "+a.IPNet.String())
	}
	routes, err := netlink.RouteList(l, netlink.FAMILY_ALL)
	must(t, err)
	for _, r := range routes {
		s := "route " + r.Dst.String() + " mtu " + strconv.Itoa(r.MTU) + " src " + r.Src.String() + " metric " + strconv.Itoa(r.Priority)
		if name == "mh0" && r.Protocol != Protocol {
			s += " proto " + r.Protocol.String()
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func link(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}

func up(t *testing.T, name string) {
	t.Helper()
	must(t, netlink.LinkSetUp(link(t, name)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
