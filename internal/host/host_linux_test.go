package host

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func config(routes ...string) Config {
	c := Config{Name: "mh0", MTU: 1412, Addrs: []netip.Addr{netip.MustParseAddr("10.64.0.2"), netip.MustParseAddr("fd00::2")}}
	for i, r := range routes {
		c.Routes = append(c.Routes, Route{Prefix: netip.MustParsePrefix(r), Hop: r, MTU: 1400 - 10*i})
	}
	return c
}

func TestRouteTo(t *testing.T) {
	newHost(t)
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
		Dst: ipNet(netip.MustParsePrefix("198.51.100.0/24")), Gw: netip.MustParseAddr("192.0.2.1").AsSlice(), MTU: 1300}))
	must(t, netlink.RouteAdd(&netlink.Route{Type: unix.RTN_UNREACHABLE, Dst: ipNet(netip.MustParsePrefix("203.0.113.0/24"))}))
	v4, v6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	h := openHost(t, t.TempDir())
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
		got, err := h.RouteTo(netip.MustParseAddr(tt.dst))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: RouteTo(%s) = %+v, %v; want %+v, %v", tt.name, tt.dst, got, err, tt.want, tt.err)
		}
	}
	must(t, netlink.LinkSetDown(link(t, "eth0")))
	if _, err := h.RouteTo(netip.MustParseAddr("9.9.9.9")); !errors.Is(err, ErrNoRoute) {
		t.Errorf("without an uplink: %v, want ErrNoRoute", err)
	}
}

func TestExists(t *testing.T) {
	newHost(t)
	for name, want := range map[string]bool{"mh0": true, "eth0": true, "mh1": false} {
		if got, err := openHostAs(t, name, &Options{Dir: t.TempDir()}).Exists(); got != want || err != nil {
			t.Errorf("Exists of %s = %v, %v", name, got, err)
		}
		if got, err := Exists(name); got != want || err != nil {
			t.Errorf("Exists(%s) = %v, %v", name, got, err)
		}
	}
}
