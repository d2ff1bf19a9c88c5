package host

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// fullConfig takes everything into the TUN.
func fullConfig() Config {
	c := config("0.0.0.0/0", "::/0", "10.20.0.0/16")
	c.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:51820"), netip.MustParseAddrPort("[2001:db8:7::7]:51820")}
	c.Tunnel = append([]netip.Addr{netip.MustParseAddr("10.65.0.9")}, c.Addrs...)
	c.Exclude = parse("203.0.113.0/24")
	c.Resolvers = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	return c
}

func splitConfig() Config {
	c := config("10.20.0.0/16", "2001:db8:20::/48")
	c.Routes = append(c.Routes, Route{Prefix: netip.MustParsePrefix("10.30.0.0/16"), Reject: true})
	c.Tunnel = c.Addrs
	return c
}

// openHost returns a Host of mh0 whose journal and DNS are the test's.
func openHost(t *testing.T, dir string) *Host {
	t.Helper()
	return openHostAs(t, "mh0", &Options{Dir: dir})
}

func openHostAs(t *testing.T, name string, o *Options) *Host {
	t.Helper()
	h, err := New(name, o)
	must(t, err)
	h.k.dns.Root = dnsRoot(t)
	h.k.dns.Bus = "unix:path=" + h.k.dns.Root + "/no-bus"
	h.k.dns.Resolvconf = h.k.dns.Root + "/no-resolvconf"
	t.Cleanup(func() { _ = h.Release() })
	return h
}

// dnsRoot makes a file system with a resolv.conf.
func dnsRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/etc", 0o755))
	must(t, os.Mkdir(dir+"/run", 0o755))
	must(t, os.WriteFile(dir+"/etc/resolv.conf", []byte("nameserver 192.0.2.53\n"), 0o644))
	return dir
}

// apply chooses and applies.
func apply(t *testing.T, h *Host, c Config) []string {
	t.Helper()
	must(t, h.Choose(&c))
	warnings, err := h.Apply(t.Context(), c)
	must(t, err)
	return warnings
}

func TestApply(t *testing.T) {
	tests := []struct {
		name   string
		config func() Config
		want   []string // in what the host was told
		not    []string
	}{
		{"everything", fullConfig, []string{
			"inet 10.64.0.2/32 scope global mh0", "inet6 fd00::2/128 scope global nodad noprefixroute",
			"3200:\tfrom all fwmark 0xce54 lookup main proto 109", "3201:\tnot from all fwmark 0xce54 lookup 52820 proto 109",
			"default dev mh0 table 52820 proto 109 linkdown mtu 1400",
			"unreachable default table 52820 proto 109 metric 4278198272",
			"10.20.0.0/16 dev mh0 table 52820 proto 109 linkdown mtu 1380",
			"throw 203.0.113.0/24 table 52820", "throw 224.0.0.0/24 table 52820", "throw fe80::/64 dev lo table 52820",
			"default dev mh0 table 52820 proto 109 metric 1 linkdown mtu 1390",
			"unreachable default dev lo table 52820 proto 109 metric 4278198272",
			"table inet multihop-mh0", "policy drop", "198.51.100.7 . 51820",
			"ipv4/conf/all/src_valid_mark=1", "ipv4/conf/all/arp_ignore=1", "ipv4/conf/mh0/rp_filter=2",
		}, []string{"throw 192.0.2.0/24", "inet6 fe80::2/64 scope link mh0"}}, // TEST-NET-1 is no private network
		{"IPv4 only", func() Config {
			c := fullConfig()
			c.Routes = c.Routes[:1]
			return c
		}, []string{
			"default dev mh0 table 52820", "unreachable default dev lo table 52820", "3201:\tnot from all fwmark 0xce54",
		}, []string{"default dev mh0 table 52820 proto 109 metric 1"}},
		{"IPv6 = direct", func() Config {
			c := fullConfig()
			c.Routes, c.IPv6Direct = c.Routes[:1], true
			return c
		}, []string{"default dev mh0 table 52820", "ip6 daddr @exclude6 accept"}, []string{"unreachable default dev lo"}},
		{"no kill switch", func() Config {
			c := fullConfig()
			c.KillSwitch, c.LAN = Off, Off
			return c
		}, []string{"default dev mh0 table 52820", "table inet multihop-mh0", "ct mark"},
			[]string{"policy drop", "throw fe80::/64"}},
		{"a given mark", func() Config {
			c := fullConfig()
			c.Mark = 4711
			return c
		}, []string{"from all fwmark 0x1267 lookup main", "lookup 4711", "default dev mh0 table 4711"}, nil},
		{"some prefixes", splitConfig, []string{
			"10.20.0.0/16 dev mh0 proto 109 scope link linkdown mtu 1400", "unreachable 10.20.0.0/16 proto 109 metric 3",
			"2001:db8:20::/48 dev mh0 proto 109 metric 1 linkdown mtu 1390", "unreachable 2001:db8:20::/48 dev lo proto 109 metric 3",
			"unreachable 10.30.0.0/16 proto 109 metric 3",
			"table inet multihop-mh0", "arp_ignore=1", "src_valid_mark=0",
		}, []string{"10.30.0.0/16 dev mh0", "from all fwmark", "policy drop", "ct mark"}},
		{"some prefixes with a kill switch", func() Config {
			c := splitConfig()
			c.KillSwitch = On
			return c
		}, []string{"10.20.0.0/16 dev mh0 proto 109", "policy drop", "ct mark", "meta mark 0x0000ce54"}, []string{"lookup 52820"}},
		{"prefixes that cover an endpoint", func() Config {
			c := splitConfig()
			c.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("10.20.9.9:51820")}
			return c
		}, []string{"10.20.0.0/16 dev mh0 table 52820", "3201:"}, []string{"policy drop"}},
		{"a hole in a prefix", func() Config {
			c := splitConfig()
			c.Exclude = parse("10.20.30.0/24")
			return c
		}, []string{"10.20.0.0/16 dev mh0 table 52820", "throw 10.20.30.0/24 table 52820", "3201:"}, nil},
		{"a table by number", func() Config {
			c := fullConfig()
			c.Table = "1234"
			return c
		}, []string{"default dev mh0 table 1234", "unreachable default table 1234 proto 109 metric 3"}, []string{"from all fwmark", "policy drop", "throw"}},
		{"table off", func() Config {
			c := fullConfig()
			c.Table = "off"
			return c
		}, []string{"inet 10.64.0.2/32", "inet6 fd00::2/128"}, []string{"proto 109", "multihop-mh0", "arp_ignore=1", "src_valid_mark=1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tool(t, "ip", "iproute2")
			tool(t, "nft", "nftables")
			newHost(t)
			before := told(t)
			h := openHost(t, t.TempDir())
			for _, w := range apply(t, h, tt.config()) {
				t.Errorf("warning: %s", w)
			}
			rp, _ := os.ReadFile("/proc/sys/net/ipv4/conf/mh0/rp_filter")
			is := told(t) + "ipv4/conf/mh0/rp_filter=" + string(rp)
			for _, w := range tt.want {
				if !strings.Contains(is, w) {
					t.Errorf("there is no %q", w)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(is, n) {
					t.Errorf("there is %q", n)
				}
			}
			if t.Failed() {
				t.Log(is[:strings.Index(is, "/proc/")])
			}
			dir := h.k.dir
			for range 2 {
				must(t, h.Close())
			}
			sameState(t, before)
			if files, _ := os.ReadDir(dir); slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasSuffix(f.Name(), journalSuffix) }) {
				t.Errorf("left in the directory: %v", files)
			}
		})
	}
}

// Plan tells what Apply does, and does nothing.
func TestPlan(t *testing.T) {
	newHost(t)
	dir := t.TempDir() + "/run"
	var done []string
	h := openHostAs(t, "mh0", &Options{Dir: dir, Trace: func(l string) { done = append(done, l) }})
	c := fullConfig()
	c.DNS.Servers = []netip.Addr{netip.MustParseAddr("10.64.0.1")}
	must(t, netlink.LinkDel(link(t, "mh0"))) // it need not be made yet
	plan, err := h.Plan(c, 0)
	must(t, err)
	if _, err := os.Stat(dir); err == nil {
		t.Error("Plan made the directory of the journals")
	}
	addTUN(t, "mh0")
	before := told(t)
	again, err := h.Plan(c, len(plan))
	must(t, err)
	few, err := h.Plan(c, len(plan)-1)
	must(t, err)
	if want := append(slices.Clone(plan[:len(plan)-1]), "... and more"); !slices.Equal(few, want) {
		t.Errorf("no more than %d lines: %q", len(plan)-1, few)
	}
	sameState(t, before)
	apply(t, h, c)
	if !slices.Equal(plan, done) || !slices.Equal(again, done) {
		t.Errorf("plan\n%s\ndone\n%s", strings.Join(plan, "\n"), strings.Join(done, "\n"))
	}
	if rest, err := h.Plan(c, 0); len(rest) > 0 || err != nil {
		t.Errorf("after Apply: %q, %v", rest, err)
	}
	must(t, h.Close())
	sameState(t, before)
}

// A route by a gateway, without an interface, means a gateway of the host's own
// links also while everything enters the TUN: else our own datagrams would
// follow it into the TUN.
func TestGatewayAlone(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	c := fullConfig()
	c.LAN, c.KillSwitch = Off, Off // no throw route helps
	apply(t, h, c)
	run(t, "ip -4 route replace default via 192.0.2.9; ip -4 route add 198.51.100.0/24 via 192.0.2.8; ip -6 route replace default via 2001:db8::9")
	for _, dst := range []string{"198.51.100.7", "198.18.0.1", "2001:db8:7::7"} {
		wantWayOut(t, dst, h.Status().Mark, "eth0")
		wantWayOut(t, dst, 0, "mh0")
	}
}
