package host

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// watch runs h.Watch until the test ends, on a thread elsewhere, and counts its
// calls.
func watch(t *testing.T, h *Host) *atomic.Int32 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int32
	done := make(chan error)
	go func() { done <- h.Watch(ctx, func() { calls.Add(1) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	time.Sleep(300 * time.Millisecond) // it listens
	return &calls
}

// within waits a second for the host to be as it was, and fails otherwise.
func backWithin(t *testing.T, d time.Duration, was string) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if told(t) == was {
			return
		}
	}
	diffStates(t, was, told(t))
}

func run(t *testing.T, command string) {
	t.Helper()
	if b, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, b)
	}
}

// What others undo is back within a second.
func TestWatchRestores(t *testing.T) {
	tests := []struct {
		name   string
		config func() Config
		change string
	}{
		{"rule deleted", fullConfig, "ip -4 rule del priority 3201"},
		{"all rules deleted", fullConfig, "ip -4 rule del priority 3200; ip -4 rule del priority 3201; ip -6 rule del priority 3200; ip -6 rule del priority 3201"},
		{"rules flushed", fullConfig, "ip -4 rule flush; ip -4 rule add priority 32766 lookup main; ip -4 rule add priority 32767 lookup default"},
		{"route deleted", fullConfig, "ip -4 route del default dev mh0 table 52820"},
		{"guard deleted", fullConfig, "ip -4 route del unreachable default table 52820 metric 4278198272"},
		{"table flushed", fullConfig, "ip -4 route flush table 52820; ip -6 route flush table 52820"},
		{"route replaced", splitConfig, "ip -4 route replace 10.20.0.0/16 dev eth0"},
		{"IPv6 route deleted", splitConfig, "ip -6 route del 2001:db8:20::/48 dev mh0"},
		{"address deleted", splitConfig, "ip addr del 10.64.0.2/32 dev mh0"},
		{"all addresses deleted", splitConfig, "ip addr flush dev mh0"},
		{"TUN set down", fullConfig, "ip link set down dev mh0"},
		{"MTU too small for IPv6 for a moment", fullConfig, "ip link set mtu 1000 dev mh0; ip link set mtu 1412 dev mh0"},
		{"setting changed", fullConfig, "echo 0 > /proc/sys/net/ipv4/conf/all/src_valid_mark"},
		{"another setting changed", fullConfig, "echo 0 > /proc/sys/net/ipv4/conf/all/arp_ignore"},
		{"firewall flushed", fullConfig, "nft flush ruleset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			before := told(t)
			h := openHost(t, t.TempDir())
			apply(t, h, tt.config())
			was := told(t)
			watch(t, h)
			run(t, tt.change)
			if told(t) == was && !strings.Contains(tt.change, "nft") { // the table has an owner, where the kernel knows that
				t.Log("nothing was undone, or it was back at once")
			}
			backWithin(t, 2*time.Second, was)
			must(t, h.Close())
			sameState(t, before)
		})
	}
}

// Whoever sets another MTU means it.
func TestWatchLeavesMTU(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	apply(t, h, fullConfig())
	was := told(t)
	watch(t, h)
	run(t, "ip link set mtu 1300 dev mh0; ip -4 rule del priority 3201")
	backWithin(t, 2*time.Second, strings.ReplaceAll(was, "mh0 1412 up", "mh0 1300 up"))
	if !strings.Contains(told(t), "mh0 1300 up") {
		t.Error("the MTU is not what it was set to")
	}
}

// The detector of TestWatchRestores: without Watch nothing comes back.
func TestUnwatched(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	apply(t, h, fullConfig())
	was := told(t)
	run(t, "ip -4 rule del priority 3201; ip -4 route flush table 52820")
	time.Sleep(time.Second)
	if told(t) == was {
		t.Error("came back without Watch")
	}
	wantWayOut(t, "9.9.9.9", 0, "eth0")
}

// elsewhere returns a handle for goroutines outside of the test's namespace.
func elsewhere(t *testing.T) *netlink.Handle {
	t.Helper()
	ns, err := netns.Get()
	must(t, err)
	defer ns.Close()
	nl, err := netlink.NewHandleAt(ns)
	must(t, err)
	t.Cleanup(nl.Close)
	return nl
}

// changed is called for what is the host's, a burst at a time, and not for what
// is ours.
func TestWatchTells(t *testing.T) {
	newHost(t)
	h := openHost(t, t.TempDir())
	apply(t, h, fullConfig())
	calls := watch(t, h)
	time.Sleep(time.Second)
	calls.Store(0) // that of the beginning
	c := fullConfig()
	c.Routes[0].MTU = 1300
	apply(t, h, c)
	time.Sleep(time.Second)
	if n := calls.Load(); n != 0 {
		t.Errorf("our own change: %d calls", n)
	}
	nl, eth0 := elsewhere(t), link(t, "eth0")
	for i := range 5 {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})
		must(t, nl.AddrAdd(eth0, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, 24))}))
	}
	time.Sleep(time.Second)
	if n := calls.Load(); n < 1 || n > 2 {
		t.Errorf("a burst of changes: %d calls", n)
	}
	if n := calls.Swap(0); n == 0 {
		t.Error("no call")
	}
	must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: eth0.Attrs().Index,
		Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Gw: netip.MustParseAddr("192.0.2.9").AsSlice()}))
	time.Sleep(time.Second)
	if n := calls.Load(); n != 1 {
		t.Errorf("another default route: %d calls", n)
	}
}

// The LAN is what the host is connected to now: private networks of its own
// addresses, and nothing that is only routed.
func TestWatchFollowsTheLAN(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	c := fullConfig()
	apply(t, h, c)
	watch(t, h)
	has := func(want bool, what string) {
		t.Helper()
		is := ""
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if is = told(t); strings.Contains(is, what) == want {
				return
			}
		}
		t.Errorf("%q: %v, want %v", what, !want, want)
	}
	run(t, "ip addr add 192.168.7.2/24 dev eth0; ip addr add 8.8.8.2/24 dev eth0; ip addr add fd77::2/64 dev eth0 nodad")
	has(true, "throw 192.168.7.0/24 table 52820")
	has(true, "throw fd77::/64 dev lo table 52820")
	has(true, `oifname "eth0" ip daddr 192.168.7.0/24 accept`)
	has(false, "throw 8.8.8.0/24")
	wantWayOut(t, "192.168.7.9", 0, "eth0")
	wantWayOut(t, "8.8.8.9", 0, "mh0")
	// Routed, but no network of an address; and inside a route asked for by name.
	run(t, "ip route add 172.16.0.0/12 dev eth0; ip addr add 10.20.7.2/24 dev eth0")
	time.Sleep(time.Second)
	has(false, "throw 172.16.0.0/12")
	has(false, "throw 10.20.7.0/24")
	wantWayOut(t, "172.16.0.9", 0, "mh0")
	wantWayOut(t, "10.20.7.9", 0, "mh0")
	run(t, "ip addr del 192.168.7.2/24 dev eth0")
	has(false, "throw 192.168.7.0/24")
	has(false, "192.168.7.0/24 accept")
	wantWayOut(t, "192.168.7.9", 0, "mh0")
}

// A DHCP client that overwrites resolv.conf does not win.
func TestWatchRestoresDNS(t *testing.T) {
	newHost(t)
	h := openHost(t, t.TempDir())
	apply(t, h, faultyConfig())
	path := h.k.dns.Root + "/etc/resolv.conf"
	want, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(want), "10.20.0.53") {
		t.Fatalf("resolv.conf: %s", want)
	}
	watch(t, h)
	time.Sleep(600 * time.Millisecond)
	must(t, os.WriteFile(path, []byte("nameserver 192.0.2.99\n"), 0o644))
	var got []byte
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err = os.ReadFile(path); err == nil && strings.Contains(string(got), "10.20.0.53") {
			break
		}
	}
	if !strings.Contains(string(got), "10.20.0.53") {
		t.Errorf("resolv.conf: %s", got)
	}
	must(t, h.Close())
	if got, err = os.ReadFile(path); err != nil || !strings.Contains(string(got), "192.0.2.99") {
		t.Errorf("afterwards: %s, %v; want what the DHCP client wrote", got, err)
	}
}

// Routes that are injected into the table main have no effect, with and without
// a kill switch; what they do without our rules is the detector.
func TestInjectedRoutes(t *testing.T) {
	newHost(t)
	h := openHost(t, t.TempDir())
	inject := func() {
		for _, p := range []string{"9.9.9.0/24", "0.0.0.0/1", "9.9.9.9/32"} {
			must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
				Dst: ipNet(netip.MustParsePrefix(p)), Gw: netip.MustParseAddr("192.0.2.66").AsSlice()}))
		}
	}
	c := fullConfig()
	c.KillSwitch = Off
	c.Table = "4711" // as wg-quick: no rules
	apply(t, h, c)
	inject()
	wantWayOut(t, "9.9.9.9", 0, "eth0")
	c.Table = ""
	apply(t, h, c)
	wantWayOut(t, "9.9.9.9", 0, "mh0")
	wantWayOut(t, "9.9.8.8", 0, "mh0")
	wantWayOut(t, "203.0.113.7", 0, "eth0") // excluded
	wantWayOut(t, "198.51.100.7", 0, "mh0") // the endpoint's address, but not our own datagrams
	wantWayOut(t, "198.51.100.7", h.Status().Mark, "eth0")
}
