package host

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// foreign adds a route of the host's own.
func foreign(t *testing.T, prefix string, metric int) {
	t.Helper()
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, "eth0").Attrs().Index,
		Dst: ipNet(netip.MustParsePrefix(prefix)), Priority: metric}))
}

// A route of the host with a larger metric stays, and is named; when the TUN
// vanishes it does not come back to life.
func TestApplyShadows(t *testing.T) {
	needTools(t)
	newHost(t)
	foreign(t, "203.0.113.0/24", 100)
	foreign(t, "2001:db8:20::/48", 2048)
	foreign(t, "198.51.100.0/24", 2)
	before := told(t)
	h := openHost(t, t.TempDir())
	warnings := apply(t, h, config("203.0.113.0/24", "203.0.0.0/16", "2001:db8:20::/48", "198.51.100.0/24"))
	slices.Sort(warnings)
	want := []string{
		"route 198.51.100.0/24 takes the place of this host's own, 198.51.100.0/24 dev eth0 metric 2; if this process is killed, that one takes the packets",
		"route 2001:db8:20::/48 takes the place of this host's own, 2001:db8:20::/48 dev eth0 metric 2048, until the end",
		"route 203.0.113.0/24 takes the place of this host's own, 203.0.113.0/24 dev eth0 metric 100, until the end",
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(warnings, "\n"), strings.Join(want, "\n"))
	}
	into := func(want string) {
		t.Helper()
		for _, dst := range []string{"203.0.113.9", "2001:db8:20::9", "203.0.112.9"} {
			p, err := h.RouteTo(netip.MustParseAddr(dst))
			if p.Interface != want || (want == "") != (err != nil) {
				t.Errorf("path to %s: %+v, %v; want %q", dst, p, err, want)
			}
		}
	}
	into("mh0")
	must(t, netlink.LinkDel(link(t, "mh0")))
	into("") // unreachable
	addTUN(t, "mh0")
	must(t, h.Close())
	sameState(t, before)
}

func TestApplyRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T)
		config  func() Config
		want    string
	}{
		{"route exists", nil, func() Config { return config("10.0.0.0/8", "2001:db8:20::/48", "192.0.2.0/24") }, "another route"},
		{"route with the metric of the guard", func(t *testing.T) { foreign(t, "10.0.0.0/8", guardMetric+1) },
			func() Config { return config("10.0.0.0/8") }, "another route"},
		{"route before what rejects", func(t *testing.T) { foreign(t, "10.30.0.0/16", 1) }, splitConfig, "another route"},
		{"default route exists in the table", nil, func() Config {
			c := config("10.0.0.0/8", "0.0.0.0/0")
			c.Table = "254"
			return c
		}, "another route"},
		{"no such TUN", nil, func() Config { c := config(); c.Name = "mh9"; return c }, "not the TUN"},
		{"TUN not made", func(t *testing.T) { must(t, netlink.LinkDel(link(t, "mh0"))) }, func() Config { return config() }, "not found"},
		{"MTU", nil, func() Config { c := config("10.0.0.0/8"); c.MTU, c.Addrs = 40, c.Addrs[:1]; return c }, "MTU 40"},
		{"table", nil, func() Config { c := config(); c.Table = "main"; return c }, "the number of a table"},
		{"the table local", nil, func() Config { c := config(); c.Table = "255"; return c }, "the number of a table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			if tt.prepare != nil {
				tt.prepare(t)
			}
			before := told(t)
			h := openHost(t, t.TempDir())
			_, err := h.Apply(t.Context(), tt.config())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Apply: %v, want %q", err, tt.want)
			}
			sameState(t, before)
		})
	}
}

// Where the TUN has no IPv6, only that is missing; what would have entered it is
// rejected.
func TestApplyWithoutIPv6(t *testing.T) {
	disable := func(t *testing.T) {
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0))
	}
	tests := []struct {
		name      string
		prepare   func(t *testing.T)
		config    func() Config
		mtu       int
		warning   string
		want, not string
	}{
		{"disabled", disable, splitConfig, 1412, "IPv6 is disabled", "unreachable 2001:db8:20::/48 dev lo", "fd00::2"},
		{"small MTU", nil, splitConfig, 1200, "too small for IPv6", "unreachable 2001:db8:20::/48 dev lo", "fd00::2"},
		{"small MTU on a host without IPv6", func(t *testing.T) { must(t, netlink.LinkSetDown(link(t, "eth0"))) },
			splitConfig, 1200, "too small for IPv6", "10.20.0.0/16 dev mh0", "fd00::2"},
		{"disabled, everything", disable, fullConfig, 1412, "IPv6 is disabled", "unreachable default dev lo table 52820", "fd00::2"},
		{"small MTU, everything", nil, fullConfig, 1200, "too small for IPv6", "unreachable default dev lo table 52820", "fd00::2/128"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			if tt.prepare != nil {
				tt.prepare(t)
			}
			before := told(t)
			h := openHost(t, t.TempDir())
			c := tt.config()
			c.MTU = tt.mtu
			warnings := apply(t, h, c)
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.warning) {
				t.Errorf("warnings %q, want %q", warnings, tt.warning)
			}
			is, _, _ := strings.Cut(told(t), "# nft")
			if !strings.Contains(is, tt.want) || strings.Contains(is, tt.not) {
				t.Errorf("want %q and not %q:\n%s", tt.want, tt.not, is)
			}
			must(t, h.Close())
			sameState(t, before)
		})
	}
}

// Where the TUN has no IPv6, nothing that was to enter it leaves in clear when the
// host gets IPv6 later.
func TestIPv6ComesLater(t *testing.T) {
	noRoom := func(c Config) Config { c.MTU = 1200; return c }
	killSwitch := func(c Config) Config { c.KillSwitch = On; return c }
	table := func(c Config) Config { c.Table = "4711"; return c }
	tests := []struct {
		name    string
		config  Config
		disable bool
		guard   string
		direct  string // the way out of what was not to enter the TUN
	}{
		{"small MTU", noRoom(splitConfig()), false, "unreachable 2001:db8:20::/48 dev lo proto 109 metric 3", "eth0"},
		{"disabled", splitConfig(), true, "unreachable 2001:db8:20::/48 dev lo proto 109 metric 3", "eth0"},
		{"kill switch", killSwitch(noRoom(splitConfig())), false, "unreachable 2001:db8:20::/48 dev lo proto 109 metric 3", "eth0"},
		{"table of our own", noRoom(fullConfig()), false, "unreachable default dev lo table 52820", ""},
		{"table of our own, disabled", fullConfig(), true, "unreachable default dev lo table 52820", ""},
		{"table by number", table(noRoom(splitConfig())), false, "unreachable 2001:db8:20::/48 dev lo table 4711", "eth0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			const inside, outside = "2001:db8:20::9", "2620:fe::9"
			wantWayOut(t, inside, 0, "eth0") // what is to be seen, if it leaves in clear
			run(t, "ip -6 route del default")
			if tt.disable {
				must(t, os.WriteFile("/proc/sys/net/ipv6/conf/mh0/disable_ipv6", []byte("1"), 0))
			}
			if tt.config.Table != "" { // somebody else's rule
				run(t, "ip -6 rule add priority 100 lookup "+tt.config.Table)
			}
			h := openHost(t, t.TempDir())
			apply(t, h, tt.config)
			watch(t, h)
			run(t, "ip -6 route add default via 2001:db8::1 dev eth0")
			wantWayOut(t, inside, 0, "")
			time.Sleep(2 * settling) // Watch follows
			wantWayOut(t, inside, 0, "")
			if is, _, _ := strings.Cut(told(t), "# nft"); !strings.Contains(is, tt.guard) {
				t.Errorf("want %q:\n%s", tt.guard, is)
			}
			wantWayOut(t, outside, 0, tt.direct)
			must(t, h.Close())
			wantWayOut(t, inside, 0, "eth0")
		})
	}
}
