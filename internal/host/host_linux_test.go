package host

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func config(routes ...string) Config {
	c := Config{Name: "mh0", MTU: 1412, Addrs: []netip.Addr{netip.MustParseAddr("10.64.0.2"), netip.MustParseAddr("fd00::2")}}
	for i, r := range routes {
		c.Routes = append(c.Routes, Route{Prefix: netip.MustParsePrefix(r), MTU: 1400 - 10*i})
	}
	return c
}

func TestConfigure(t *testing.T) {
	newHost(t)
	before := snapshot(t)
	a, err := Configure(config("10.20.0.0/16", "198.51.100.7/32", "0.0.0.0/1", "2001:db8:20::/48"))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Warnings) != 0 {
		t.Errorf("warnings: %q", a.Warnings)
	}
	mh0 := link(t, "mh0")
	if mh0.Attrs().MTU != 1412 || mh0.Attrs().Flags&1 == 0 {
		t.Errorf("MTU %d, flags %v", mh0.Attrs().MTU, mh0.Attrs().Flags)
	}
	want := []string{
		"addr 10.64.0.2/32", "addr fd00::2/128", // and no link-local one
		"route 0.0.0.0/1 mtu 1380 src 10.64.0.2 metric 0",
		"route 10.20.0.0/16 mtu 1400 src 10.64.0.2 metric 0",
		"route 198.51.100.7/32 mtu 1390 src 10.64.0.2 metric 0",
		"route 2001:db8:20::/48 mtu 1370 src fd00::2 metric 1",
	}
	if got := of(t, "mh0"); !slices.Equal(got, want) {
		t.Errorf("mh0 has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p, err := RouteTo(netip.MustParseAddr("2001:db8:20::1"))
	if err != nil || p != (Path{Interface: "mh0", Src: netip.MustParseAddr("fd00::2"), MTU: 1370}) {
		t.Errorf("path into the TUN: %+v, %v", p, err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := snapshot(t); !slices.Equal(before, after) {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// A route of the host with a larger metric stays, and is named.
func TestConfigureShadows(t *testing.T) {
	newHost(t)
	for _, r := range []struct {
		prefix string
		metric int
	}{{"203.0.113.0/24", 100}, {"2001:db8:20::/48", 2048}} {
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
			Dst: ipNet(netip.MustParsePrefix(r.prefix)), Priority: r.metric}))
	}
	before := snapshot(t)
	a, err := Configure(config("203.0.113.0/24", "203.0.0.0/16", "2001:db8:20::/48"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"route 203.0.113.0/24 takes the place of this host's own, 203.0.113.0/24 dev eth0 metric 100, until the end",
		"route 2001:db8:20::/48 takes the place of this host's own, 2001:db8:20::/48 dev eth0 metric 2048, until the end",
	}
	if !slices.Equal(a.Warnings, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(a.Warnings, "\n"), strings.Join(want, "\n"))
	}
	for dst, device := range map[string]string{"203.0.113.9": "mh0", "2001:db8:20::9": "mh0", "203.0.112.9": "mh0"} {
		if p, err := RouteTo(netip.MustParseAddr(dst)); err != nil || p.Interface != device {
			t.Errorf("path to %s: %+v, %v", dst, p, err)
		}
	}
	must(t, a.Close())
	if after := snapshot(t); !slices.Equal(before, after) {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func TestCloseAfterTheTUNVanished(t *testing.T) {
	newHost(t)
	a, err := Configure(config("10.20.0.0/16", "2001:db8:20::/48"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, netlink.LinkDel(link(t, "mh0")))
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A failure at the last step undoes all before it.
func TestConfigureFails(t *testing.T) {
	tests := []struct {
		name   string
		config func() Config
		want   string
	}{
		{"route exists", func() Config { return config("10.0.0.0/8", "2001:db8:20::/48", "192.0.2.0/24") }, "another route"},
		{"default route exists", func() Config { return config("10.0.0.0/8", "0.0.0.0/0") }, "another route"},
		{"no such TUN", func() Config { c := config(); c.Name = "mh9"; return c }, "not found"},
		{"MTU", func() Config { c := config(); c.MTU = 40; return c }, "MTU 40"},
		{"no room for IPv6, which would leave in clear", func() Config { c := config("2001:db8:20::/48"); c.MTU = 1200; return c }, "in clear"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newHost(t)
			before := snapshot(t)
			a, err := Configure(tt.config())
			if err == nil {
				a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Configure: %v, want %q", err, tt.want)
			}
			if after := snapshot(t); !slices.Equal(before, after) {
				t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

func TestIPv6Off(t *testing.T) {
	sysctl := func(value string) func(t *testing.T) {
		return func(t *testing.T) {
			must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte(value), 0o644))
		}
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T)
		mtu     int
		warning string
	}{
		{"disabled", sysctl("1"), 1412, "IPv6 is disabled"},
		{"small MTU on a host without IPv6", func(t *testing.T) {
			must(t, netlink.LinkSetDown(link(t, "eth0")))
		}, 1200, "too small for IPv6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newHost(t)
			tt.prepare(t)
			c := config("10.20.0.0/16", "2001:db8:20::/48")
			c.MTU = tt.mtu
			a, err := Configure(c)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], tt.warning) {
				t.Errorf("warnings %q, want %q", a.Warnings, tt.warning)
			}
			want := []string{"addr 10.64.0.2/32", "route 10.20.0.0/16 mtu 1400 src 10.64.0.2 metric 0"}
			if got := of(t, "mh0"); !slices.Equal(got, want) {
				t.Errorf("mh0 has %q, want %q", got, want)
			}
		})
	}
}

func TestRouteTo(t *testing.T) {
	newHost(t)
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
		Dst: ipNet(netip.MustParsePrefix("198.51.100.0/24")), Gw: netip.MustParseAddr("192.0.2.1").AsSlice(), MTU: 1300}))
	must(t, netlink.RouteAdd(&netlink.Route{Type: unix.RTN_UNREACHABLE, Dst: ipNet(netip.MustParsePrefix("203.0.113.0/24"))}))
	v4, v6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	tests := []struct {
		name, dst string
		want      Path
		err       error
	}{
		{"the link's MTU", "9.9.9.9", Path{"eth0", v4, 1492}, nil},
		{"the route's MTU", "198.51.100.7", Path{"eth0", v4, 1300}, nil},
		{"IPv6", "2620:fe::fe", Path{"eth0", v6, 1492}, nil},
		{"IPv4 as IPv6", "::ffff:9.9.9.9", Path{"eth0", v4, 1492}, nil},
		{"unreachable", "203.0.113.1", Path{}, ErrNoRoute},
	}
	for _, tt := range tests { // no t.Run: its goroutine would be in another namespace
		got, err := RouteTo(netip.MustParseAddr(tt.dst))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: RouteTo(%s) = %+v, %v; want %+v, %v", tt.name, tt.dst, got, err, tt.want, tt.err)
		}
	}
	must(t, netlink.LinkSetDown(link(t, "eth0")))
	if _, err := RouteTo(netip.MustParseAddr("9.9.9.9")); !errors.Is(err, ErrNoRoute) {
		t.Errorf("without an uplink: %v, want ErrNoRoute", err)
	}
}

func TestExists(t *testing.T) {
	newHost(t)
	for name, want := range map[string]bool{"mh0": true, "eth0": true, "mh1": false} {
		if got, err := Exists(name); got != want || err != nil {
			t.Errorf("Exists(%s) = %v, %v", name, got, err)
		}
	}
}

func TestWatch(t *testing.T) {
	newHost(t)
	ns, err := netns.Get()
	must(t, err)
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns) // for a goroutine outside the namespace
	must(t, err)
	defer h.Close()
	eth0 := link(t, "eth0")
	time.AfterFunc(200*time.Millisecond, func() { // a burst
		for i := range 5 {
			_ = h.AddrAdd(eth0, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), 24))})
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	calls := 0
	err = Watch(ctx, func() { calls++ })
	if err != nil || calls < 1 || calls > 2 { // the kernel may still finish link-local addresses
		t.Errorf("a burst of changes: %d calls, %v", calls, err)
	}
}
