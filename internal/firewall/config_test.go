package firewall

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	good := Config{
		Table: "multihop-mh0", TUN: "mh0", Mark: 1, KillSwitch: true,
		Tunnel:    []netip.Addr{netip.MustParseAddr("10.64.0.2")},
		Endpoints: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:51820")},
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
		LAN:       []LANPrefix{{netip.MustParsePrefix("192.168.1.0/24"), "eth0"}},
		Exclude:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		TUNs:      []string{"a=b_c+d.e-f"},
	}
	for _, test := range []struct {
		name string
		edit func(*Config)
		want string // part of the error; "": none
	}{
		{"all", func(*Config) {}, ""},
		{"least", func(c *Config) { *c = Config{Table: "t", TUN: "mh0"} }, ""},
		{"no table", func(c *Config) { c.Table = "" }, "table name"},
		{"long table", func(c *Config) { c.Table = strings.Repeat("x", 256) }, "table name"},
		{"table with NUL", func(c *Config) { c.Table = "a\x00b" }, "table name"},
		{"no TUN", func(c *Config) { c.TUN = "" }, "interface name"},
		{"long TUN", func(c *Config) { c.TUN = "sixteenletters16" }, "interface name"},
		{"TUN with a slash", func(c *Config) { c.TUN = "a/b" }, "interface name"},
		{"other TUN with a space", func(c *Config) { c.TUNs = []string{"a b"} }, "interface name"},
		{"others", func(c *Config) { c.Others = []Other{{2, c.Endpoints, c.Resolvers}} }, ""},
		{"other without a mark", func(c *Config) { c.Others = []Other{{Endpoints: c.Endpoints}} }, "instance without a mark"},
		{"other's endpoint", func(c *Config) { c.Others = []Other{{Mark: 2, Endpoints: []netip.AddrPort{{}}}} }, "endpoint"},
		{"other's resolver", func(c *Config) { c.Others = []Other{{Mark: 2, Resolvers: []netip.Addr{{}}}} }, "resolver"},
		{"no mark", func(c *Config) { c.Mark = 0 }, "without a mark"},
		{"no mark, no kill switch", func(c *Config) { c.Mark, c.KillSwitch = 0, false }, ""},
		{"tunnel address", func(c *Config) { c.Tunnel = append(c.Tunnel, netip.Addr{}) }, "tunnel address"},
		{"resolver", func(c *Config) { c.Resolvers = append(c.Resolvers, netip.Addr{}) }, "resolver"},
		{"endpoint", func(c *Config) { c.Endpoints = append(c.Endpoints, netip.AddrPort{}) }, "endpoint"},
		{"endpoint without a port", func(c *Config) { c.Endpoints = append(c.Endpoints, netip.MustParseAddrPort("192.0.2.1:0")) }, "endpoint 192.0.2.1:0"},
		{"LAN prefix", func(c *Config) { c.LAN[0].Prefix = netip.Prefix{} }, "LAN prefix"},
		{"LAN interface", func(c *Config) { c.LAN[0].Interface = "" }, "LAN prefix"},
		{"excluded prefix", func(c *Config) { c.Exclude = append(c.Exclude, netip.Prefix{}) }, "excluded prefix"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good
			c.LAN = append([]LANPrefix(nil), good.LAN...)
			test.edit(&c)
			err := c.check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("check: %v, want %q", err, test.want)
			}
		})
	}
}
