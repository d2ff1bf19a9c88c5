package host

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// newHost moves the test to a network namespace of its own with an uplink
// "eth0" (192.0.2.2/24, 2001:db8::2/64, default routes) and a TUN "mh0".
func newHost(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		unable(t, "needs root: makes network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		unable(t, "needs TUN devices: "+err.Error())
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
	for _, f := range []string{"default", "all"} { // addresses are final at once
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+f+"/accept_dad", []byte("0"), 0))
	}
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
	addTUN(t, "mh0")
	for tentative := true; tentative; time.Sleep(time.Millisecond) {
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		must(t, err)
		tentative = slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 })
	}
}

func addTUN(t *testing.T, name string) {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TUN}))
}

// unable skips the test; in a continuous build (CI=true) it fails it.
func unable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tool skips the test unless the program, of the Debian package pkg, is there.
func tool(t *testing.T, name, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		unable(t, "needs the program "+name+": install Debian package "+pkg)
	}
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

// ipNetOf parses an address with its mask.
func ipNetOf(s string) *net.IPNet {
	p := netip.MustParsePrefix(s)
	return ipNet(netip.PrefixFrom(p.Addr(), p.Bits()))
}
