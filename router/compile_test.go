package router

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gaissmai/bart"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// fixedKey returns a private key that is the same in every run.
func fixedKey(n byte) Key {
	var k Key
	for i := range k {
		k[i] = n
	}
	return k
}

// chain returns an entry and an exit that it carries, with routes of both
// families to each.
func chain() Config {
	hop := func(name, via, endpoint string, n byte, own ...string) Hop {
		return Hop{Name: name, Via: via, PrivateKey: fixedKey(n), Addrs: addrs(own...), Peers: []Peer{{
			PublicKey: fixedKey(n + 100).Public(), Endpoint: endpoint, AllowedIPs: prefixes("0.0.0.0/0", "::/0"),
		}}}
	}
	return Config{
		Hops: []Hop{
			hop("entry", "", "192.0.2.10:51820", 1, "10.1.0.2", "fd01::2"),
			hop("exit", "entry", "192.0.2.20:51820", 2, "10.2.0.2", "fd02::2"),
		},
		Routes: []Route{
			{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Hop: "exit"},
			{Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Hop: "exit", Derived: true},
			{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Hop: "entry"},
		},
	}
}

func TestCompileErrors(t *testing.T) {
	const noHostBits = "want a prefix without host bits"
	entry, exit := 0, 1
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no name", func(c *Config) { c.Hops[exit].Name = "" },
			`Hops[1].Name: "": want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"slash in a name", func(c *Config) { c.Hops[exit].Name = "../x" },
			`Hops[1].Name: "../x": want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"newline in a name", func(c *Config) { c.Hops[exit].Name = "a\n" },
			`Hops[1].Name: "a\n": want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"long name", func(c *Config) { c.Hops[entry].Name = strings.Repeat("x", 65) },
			`Hops[0].Name: "` + strings.Repeat("x", 65) + `": want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"same name", func(c *Config) { c.Hops[exit].Name = "entry" },
			"hop entry: Name: two hops have this name"},
		{"no carrier", func(c *Config) { c.Hops[exit].Via = "elsewhere" },
			`hop exit: Via: there is no hop "elsewhere"`},
		{"carries itself", func(c *Config) { c.Hops[entry].Via = "entry" },
			"hop entry: Via: a cycle: entry via entry"},
		{"cycle of two", func(c *Config) { c.Hops[entry].Via = "exit" },
			"hop entry: Via: a cycle: entry via exit via entry"},
		{"behind a cycle", func(c *Config) {
			c.Hops[entry].Via = "exit"
			inner := c.Hops[exit]
			inner.Name, inner.Via = "inner", "exit"
			c.Hops = []Hop{inner, c.Hops[entry], c.Hops[exit]}
		}, "hop inner: Via: a cycle: inner via exit via entry via exit"},
		{"no private key", func(c *Config) { c.Hops[exit].PrivateKey = Key{} },
			"hop exit: PrivateKey: missing"},
		{"no peer", func(c *Config) { c.Hops[exit].Peers = nil },
			"hop exit: Peers: a hop needs at least one peer"},
		{"fragments of a root hop", func(c *Config) { c.Hops[entry].Fragment = true },
			"hop entry: Fragment: only a carried hop has a link; this one is on the host's network"},
		{"IPv6 asked for in a small MTU", func(c *Config) { c.Hops[exit].MTU = 1279; c.Routes[1].Derived = false },
			"hop exit: Routes[1]: 2001:db8:f::/48: IPv6 needs an MTU of 1280, and hop exit has 1279: let its link fragment, or give its carrier more"},
		{"mark of a carried hop", func(c *Config) { c.Hops[exit].FwMark = 7 },
			"hop exit: FwMark: only a hop on the host's network has a mark; this one is carried by entry"},
		{"invalid address", func(c *Config) { c.Hops[exit].Addrs[0] = netip.Addr{} },
			"hop exit: Addrs[0]: not an address"},
		{"mapped address", func(c *Config) { c.Hops[exit].Addrs[0] = netip.MustParseAddr("::ffff:10.2.0.2") },
			"hop exit: Addrs[0]: ::ffff:10.2.0.2: want a plain IPv4 or IPv6 address"},
		{"zone", func(c *Config) { c.Hops[exit].Addrs[1] = netip.MustParseAddr("fe80::1%eth0") },
			"hop exit: Addrs[1]: fe80::1%eth0: want a plain IPv4 or IPv6 address"},
		{"unspecified address", func(c *Config) { c.Hops[exit].Addrs[0] = netip.MustParseAddr("0.0.0.0") },
			"hop exit: Addrs[0]: 0.0.0.0 cannot be a tunnel's address"},
		{"loopback address", func(c *Config) { c.Hops[exit].Addrs[1] = netip.MustParseAddr("::1") },
			"hop exit: Addrs[1]: ::1 cannot be a tunnel's address"},
		{"multicast address", func(c *Config) { c.Hops[exit].Addrs[0] = netip.MustParseAddr("224.0.0.1") },
			"hop exit: Addrs[0]: 224.0.0.1 cannot be a tunnel's address"},
		{"second IPv4 address", func(c *Config) { c.Hops[exit].Addrs = addrs("10.2.0.2", "fd02::2", "10.2.0.3") },
			"hop exit: Addrs[2]: 10.2.0.3 is a second address of its family: translation is one to one"},
		{"second IPv6 address", func(c *Config) { c.Hops[exit].Addrs = addrs("fd02::2", "fd02::3") },
			"hop exit: Addrs[1]: fd02::3 is a second address of its family: translation is one to one"},
		{"no public key", func(c *Config) { c.Hops[exit].Peers[0].PublicKey = Key{} },
			"hop exit: Peers[0].PublicKey: missing"},
		{"own public key", func(c *Config) { c.Hops[exit].Peers[0].PublicKey = c.Hops[exit].PrivateKey.Public() },
			"hop exit: Peers[0].PublicKey: is the hop's own"},
		{"same peer twice", func(c *Config) { c.Hops[exit].Peers = append(c.Hops[exit].Peers, c.Hops[exit].Peers[0]) },
			"hop exit: Peers[1].PublicKey: another peer has the same"},
		{"negative keepalive", func(c *Config) { c.Hops[exit].Peers[0].Keepalive = -time.Second },
			"hop exit: Peers[0].Keepalive: -1s: want whole seconds, at most 65535"},
		{"keepalive of a fraction", func(c *Config) { c.Hops[exit].Peers[0].Keepalive = 1500 * time.Millisecond },
			"hop exit: Peers[0].Keepalive: 1.5s: want whole seconds, at most 65535"},
		{"long keepalive", func(c *Config) { c.Hops[exit].Peers[0].Keepalive = 65536 * time.Second },
			"hop exit: Peers[0].Keepalive: 18h12m16s: want whole seconds, at most 65535"},
		{"host bits in AllowedIPs", func(c *Config) { c.Hops[exit].Peers[0].AllowedIPs[1] = netip.MustParsePrefix("10.0.0.1/8") },
			"hop exit: Peers[0].AllowedIPs[1]: 10.0.0.1/8: " + noHostBits},
		{"invalid AllowedIPs", func(c *Config) { c.Hops[exit].Peers[0].AllowedIPs[0] = netip.Prefix{} },
			"hop exit: Peers[0].AllowedIPs[0]: invalid Prefix: " + noHostBits},
		{"endpoint without port", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = "192.0.2.20" },
			`hop exit: Peers[0].Endpoint: "192.0.2.20": want host:port or [address]:port`},
		{"endpoint without host", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = ":51820" },
			`hop exit: Peers[0].Endpoint: ":51820": want host:port or [address]:port`},
		{"bare IPv6 endpoint", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = "2001:db8::1:51820" },
			`hop exit: Peers[0].Endpoint: "2001:db8::1:51820": want host:port or [address]:port`},
		{"endpoint's port 0", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = "192.0.2.20:0" },
			`hop exit: Peers[0].Endpoint: "192.0.2.20:0": the port must be a number from 1 to 65535`},
		{"endpoint's port by name", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = "192.0.2.20:wg" },
			`hop exit: Peers[0].Endpoint: "192.0.2.20:wg": the port must be a number from 1 to 65535`},
		{"endpoint's port too large", func(c *Config) { c.Hops[exit].Peers[0].Endpoint = "192.0.2.20:65536" },
			`hop exit: Peers[0].Endpoint: "192.0.2.20:65536": the port must be a number from 1 to 65535`},
		{"endpoint outside the carrier's AllowedIPs", func(c *Config) {
			c.Hops[entry].Peers[0].AllowedIPs = prefixes("192.0.2.0/28", "203.0.113.0/24", "::/0")
		}, "hop exit: Peers[0].Endpoint: 192.0.2.20 is outside the AllowedIPs of its carrier entry, which would drop what is sent there"},
		{"two ports inside a carrier", func(c *Config) {
			third := c.Hops[exit]
			third.Name, third.ListenPort, c.Hops[exit].ListenPort = "third", 51820, 51820
			c.Hops = append(c.Hops, third)
		}, "hop third: ListenPort: 51820 is that of hop exit, which entry may carry, too"},
		{"two ports inside a hop of a group", func(c *Config) {
			third, entry2 := c.Hops[exit], c.Hops[0]
			entry2.Name, entry2.PrivateKey = "entry2", fixedKey(9)
			third.Name, third.ListenPort, third.Via, c.Hops[exit].ListenPort = "third", 51820, "entry2", 51820
			c.Hops[exit].Via = "in"
			c.Hops = append(c.Hops, entry2, third)
			c.Groups = []Group{{Name: "in", Hops: []string{"entry", "entry2"}}}
		}, "hop third: ListenPort: 51820 is that of hop exit, which entry2 may carry, too"},
		{"endpoint of a family that the carrier has not", func(c *Config) {
			c.Hops[entry].Addrs = addrs("10.1.0.2")
			c.Hops[exit].Peers[0].Endpoint = "[2001:db8::20]:51820"
		}, "hop exit: Peers[0].Endpoint: 2001:db8::20: its carrier entry has no IPv6 address"},
		{"mapped endpoint of a family that the carrier has not", func(c *Config) {
			c.Hops[entry].Addrs = addrs("fd01::2")
			c.Routes = c.Routes[:2]
			c.Hops[exit].Peers[0].Endpoint = "[::ffff:192.0.2.20]:51820"
		}, "hop exit: Peers[0].Endpoint: 192.0.2.20: its carrier entry has no IPv4 address"},
		{"negative MTU", func(c *Config) { c.Hops[exit].MTU = -1 },
			"hop exit: MTU: -1: want 68 to 65479, or 0 to derive it"},
		{"large MTU", func(c *Config) { c.Hops[entry].MTU = 65480 },
			"hop entry: MTU: 65480: want 68 to 65479, or 0 to derive it"},
		{"small MTU", func(c *Config) { c.Hops[exit].MTU = 67 },
			"hop exit: MTU: 67: too small to carry a packet; want at least 68"},
		{"invalid route", func(c *Config) { c.Routes[0].Prefix = netip.Prefix{} },
			"hop exit: Routes[0]: invalid Prefix: " + noHostBits},
		{"host bits in a route", func(c *Config) { c.Routes[2].Prefix = netip.MustParsePrefix("203.0.113.1/24") },
			"hop entry: Routes[2]: 203.0.113.1/24: " + noHostBits},
		{"mapped route", func(c *Config) { c.Routes[2].Prefix = netip.MustParsePrefix("::ffff:0.0.0.0/96") },
			"hop entry: Routes[2]: ::ffff:0.0.0.0/96: " + noHostBits},
		{"no such action", func(c *Config) { c.Routes[0].OnDown = Fallback + 1 },
			"hop exit: Routes[0]: 198.51.100.0/24: OnDown: 3 is no action"},
		{"no fallback", func(c *Config) { c.Routes[0].OnDown = Fallback },
			"hop exit: Routes[0]: 198.51.100.0/24: OnDown: which hop is the fallback?"},
		{"fallback alone", func(c *Config) { c.Routes[0].Fallback = "entry" },
			"hop exit: Routes[0]: 198.51.100.0/24: OnDown: entry is never used: want OnDown = Fallback"},
		{"its own fallback", func(c *Config) { c.Routes[0].OnDown, c.Routes[0].Fallback = Fallback, "exit" },
			"hop exit: Routes[0]: 198.51.100.0/24: OnDown: the hop is its own fallback"},
		{"fallback to nobody", func(c *Config) { c.Routes[0].OnDown, c.Routes[0].Fallback = Fallback, "elsewhere" },
			`hop exit: Routes[0]: 198.51.100.0/24: there is no hop "elsewhere"`},
		{"fallback outside AllowedIPs", func(c *Config) {
			c.Routes[0].OnDown, c.Routes[0].Fallback = Fallback, "entry"
			c.Hops[entry].Peers[0].AllowedIPs = prefixes("192.0.2.0/24", "203.0.113.0/24")
		}, "hop exit: Routes[0]: OnDown: hop entry: 198.51.100.0/24 is outside the hop's AllowedIPs: WireGuard would drop its packets"},
		{"OnDown of a route that rejects", func(c *Config) {
			c.Routes[0].Hop, c.Routes[0].OnDown = "", Drop
		}, "Routes[0]: 198.51.100.0/24: OnDown: the route rejects: no hop of it can be down"},
		{"a prefix of a set twice", func(c *Config) {
			c.Routes[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), c.Routes[0].Prefix}
		}, "hop exit: Routes[0]: 198.51.100.0/24 is also a route of hop exit"},
		{"group without a name", func(c *Config) { c.Groups = []Group{{Hops: []string{"entry"}}} },
			`Groups[0].Name: "": want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"group with a hop's name", func(c *Config) { c.Groups = []Group{{Name: "exit", Hops: []string{"entry"}}} },
			"Groups[0].Name: exit is a hop's name too"},
		{"two groups of a name", func(c *Config) {
			c.Groups = []Group{{Name: "g", Hops: []string{"entry"}}, {Name: "g", Hops: []string{"exit"}}}
		}, "Groups[1].Name: two groups are named g"},
		{"empty group", func(c *Config) { c.Groups = []Group{{Name: "g"}} },
			"Groups[0].Hops: group g has no hop"},
		{"group of nobody", func(c *Config) { c.Groups = []Group{{Name: "g", Hops: []string{"exit", "elsewhere"}}} },
			`Groups[0].Hops[1]: there is no hop "elsewhere"`},
		{"group of a group", func(c *Config) {
			c.Groups = []Group{{Name: "f", Hops: []string{"entry"}}, {Name: "g", Hops: []string{"f"}}}
		}, "Groups[1].Hops[0]: f is a group: a group consists of hops"},
		{"a hop twice in a group", func(c *Config) { c.Groups = []Group{{Name: "g", Hops: []string{"exit", "exit"}}} },
			"Groups[0].Hops[1]: group g has hop exit twice"},
		{"carried by its own group", func(c *Config) {
			c.Groups = []Group{{Name: "g", Hops: []string{"entry", "exit"}}}
			c.Hops[exit].Via = "g"
		}, "hop exit: Via: a cycle: exit via exit"},
		{"impatient group", func(c *Config) { c.Groups = []Group{{Name: "g", Hops: []string{"exit"}, Patience: time.Second}} },
			"Groups[0].Patience: group g: 1s: want at least 7s"},
		{"nervous group", func(c *Config) { c.Groups = []Group{{Name: "g", Hops: []string{"exit"}, Quiet: -1}} },
			"Groups[0].Quiet: group g: -1ns: want at least 1s"},
		{"probe outside AllowedIPs", func(c *Config) {
			c.Hops[exit].Peers[0].AllowedIPs = prefixes("198.51.100.0/24", "::/0")
			c.Groups = []Group{{Name: "g", Hops: []string{"exit"}, Probe: addrs("192.0.2.1")[0]}}
		}, "Groups[0].Probe: group g: 192.0.2.1 is outside the AllowedIPs of hop exit, which would drop what is sent there"},
		{"group of a hop without endpoint", func(c *Config) {
			c.Hops[exit].Peers[0].Endpoint = ""
			c.Groups = []Group{{Name: "g", Hops: []string{"exit"}}}
		}, "Groups[0].Hops: group g: hop exit has no peer with an endpoint: it could not be asked whether it is there"},
		{"route of two hops", func(c *Config) { c.Routes[2].Prefix = c.Routes[0].Prefix },
			"hop entry: Routes[2]: 198.51.100.0/24 is also a route of hop exit"},
		{"route twice, once to reject", func(c *Config) {
			c.Routes = append(c.Routes, Route{Prefix: prefixes("10.0.0.0/8")[0]}, Route{Prefix: prefixes("10.0.0.0/8")[0], Hop: "exit"})
		}, "hop exit: Routes[4]: 10.0.0.0/8 is also a route of a route that rejects"},
		{"reject twice", func(c *Config) {
			c.Routes = append(c.Routes, Route{Prefix: c.Routes[0].Prefix})
		}, "Routes[3]: 198.51.100.0/24 is also a route of hop exit"},
		{"route to no hop", func(c *Config) { c.Routes[0].Hop = "elsewhere" },
			`hop elsewhere: Routes[0]: 198.51.100.0/24: there is no hop "elsewhere"`},
		{"route outside AllowedIPs", func(c *Config) {
			c.Hops[exit].Peers[0].AllowedIPs = prefixes("198.51.100.0/25", "::/0")
		}, "hop exit: Routes[0]: 198.51.100.0/24 is outside the hop's AllowedIPs: WireGuard would drop its packets"},
		{"invalid TUN address", func(c *Config) { c.Addrs = addrs("127.0.0.1") },
			"Addrs[0]: 127.0.0.1 cannot be a tunnel's address"},
		{"second TUN address", func(c *Config) { c.Addrs = addrs("10.0.0.1", "fd00::1", "10.0.0.2") },
			"Addrs[2]: 10.0.0.2 is a second address of its family"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			tt.change(&cfg)
			p, err := Compile(cfg)
			if err == nil {
				t.Fatalf("compiled; warnings %q", p.Warnings)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
			var ce *ConfigError
			if !errors.As(err, &ce) || ce.Field == "" {
				t.Errorf("%T is no *ConfigError that names its field", err)
			}
		})
	}
}

// TestCompileErrorsJoined: a person learns of every wrong hop at once.
func TestCompileErrorsJoined(t *testing.T) {
	cfg := chain()
	cfg.Hops[0].PrivateKey = Key{}
	cfg.Hops[1].Peers = nil
	_, err := Compile(cfg)
	want := "hop entry: PrivateKey: missing\nhop exit: Peers: a hop needs at least one peer"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCompileWarnings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   []string
	}{
		{"none", func(*Config) {}, nil},
		{"endpoint inside its own route", func(c *Config) {
			c.Routes = []Route{{Prefix: everything[0], Hop: "exit"}, {Prefix: everything[1], Hop: "exit"}}
		}, nil},
		{"shared key and addresses", func(c *Config) {
			c.Hops[1].PrivateKey, c.Hops[1].Addrs = c.Hops[0].PrivateKey, c.Hops[0].Addrs
		}, nil},
		{"no address of the route's family, said once", func(c *Config) {
			c.Hops[1].Addrs = addrs("10.2.0.2")
			c.Routes = append(c.Routes, Route{Prefix: prefixes("2001:db8:e::/48")[0], Hop: "exit"})
		}, []string{"2001:db8:e::/48 through hop exit will be rejected: hop exit has no IPv6 address"}},
		{"no IPv4 address", func(c *Config) { c.Hops[1].Addrs = addrs("fd02::2") },
			[]string{"198.51.100.0/24 through hop exit will be rejected: hop exit has no IPv4 address"}},
		{"TUN without the route's family", func(c *Config) { c.Addrs = addrs("10.0.0.1") },
			[]string{"2001:db8:f::/48 through hop exit will be rejected: the TUN has no IPv6 address"}},
		{"taken down", func(c *Config) { c.Hops[1].Down = true },
			[]string{"198.51.100.0/24 through hop exit will be rejected: hop exit is taken down"}},
		{"carrier taken down", func(c *Config) { c.Hops[0].Down = true },
			[]string{"198.51.100.0/24 through hop exit will be rejected: hop entry is taken down"}},
		{"MTU lowered", func(c *Config) { c.Hops[1].MTU = 1361 },
			[]string{"hop exit: MTU 1361 is lowered to 1360: 1420 of its carrier entry less 60 leaves 1360"}},
		{"IPv6 in a small MTU", func(c *Config) { c.Hops[1].MTU = 1279 },
			[]string{"2001:db8:f::/48 through hop exit will be rejected: IPv6 needs an MTU of 1280, and hop exit has 1279: let its link fragment, or give its carrier more"}},
		{"IPv6 in 1280", func(c *Config) { c.Hops[1].MTU = 1280 }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			tt.change(&cfg)
			p, err := Compile(cfg)
			must(t, err)
			if diff := cmp.Diff(tt.want, p.Warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompilePlan(t *testing.T) {
	cfg := chain()
	slices.Reverse(cfg.Hops)
	cfg.Routes = append(cfg.Routes, Route{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, Route{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Hop: "exit"})
	p, err := Compile(cfg)
	must(t, err)
	want := &Plan{
		Addrs: addrs("10.1.0.2", "fd01::2"),
		MTU:   1420,
		Hops: []PlanHop{
			{Name: "entry", Addrs: addrs("10.1.0.2", "fd01::2"), MTU: 1420, Endpoints: []string{"192.0.2.10:51820"}},
			{Name: "exit", Via: "entry", Addrs: addrs("10.2.0.2", "fd02::2"), MTU: 1360, Endpoints: []string{"192.0.2.20:51820"}},
		},
		Routes: []PlanRoute{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8"), MTU: 1420, Reject: "its route says so"},
			{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Hop: "exit", Path: []string{"entry", "exit"}, MTU: 1360},
			{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Hop: "exit", Path: []string{"entry", "exit"}, MTU: 1360},
			{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Hop: "entry", Path: []string{"entry"}, MTU: 1420},
			{Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Hop: "exit", Path: []string{"entry", "exit"}, MTU: 1360},
		},
	}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(Plan{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

// TestCompileOrder: carriers come first, and else the order given stays.
func TestCompileOrder(t *testing.T) {
	via := map[string]string{"a": "d", "b": "", "c": "a", "d": "", "e": "b"}
	for _, tt := range []struct{ given, want string }{
		{"a b c d e", "b d a e c"},
		{"c a d e b", "d b a e c"},
		{"d b e a c", "d b e a c"},
	} {
		var cfg Config
		for i, name := range strings.Fields(tt.given) {
			h := chain().Hops[0]
			h.Name, h.Via, h.PrivateKey = name, via[name], fixedKey(byte(i+1))
			cfg.Hops = append(cfg.Hops, h)
		}
		p, err := Compile(cfg)
		must(t, err)
		var got []string
		for _, h := range p.Hops {
			got = append(got, h.Name)
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%s: got %s, want %s", tt.given, g, tt.want)
		}
	}
}

func TestCompileAddrs(t *testing.T) {
	for _, tt := range []struct {
		name              string
		given             []netip.Addr
		entry, exit, want []netip.Addr
	}{
		{"the entry's", nil, addrs("10.1.0.2", "fd01::2"), addrs("10.2.0.2", "fd02::2"), addrs("10.1.0.2", "fd01::2")},
		{"per family", nil, addrs("10.1.0.2"), addrs("fd02::2", "10.2.0.2"), addrs("10.1.0.2", "fd02::2")},
		{"IPv4 first", nil, addrs("fd01::2", "10.1.0.2"), addrs("fd02::2"), addrs("10.1.0.2", "fd01::2")},
		{"one family", nil, addrs("10.1.0.2"), addrs("10.2.0.2"), addrs("10.1.0.2")},
		{"given", addrs("fd00::1", "10.0.0.1"), addrs("10.1.0.2"), addrs("10.2.0.2"), addrs("fd00::1", "10.0.0.1")},
		{"one given", addrs("10.0.0.1"), addrs("10.1.0.2", "fd01::2"), addrs("10.2.0.2"), addrs("10.0.0.1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			cfg.Addrs, cfg.Hops[0].Addrs, cfg.Hops[1].Addrs = tt.given, tt.entry, tt.exit
			p, err := Compile(cfg)
			must(t, err)
			if !slices.Equal(p.Addrs, tt.want) {
				t.Errorf("got %v, want %v", p.Addrs, tt.want)
			}
		})
	}
}

// TestCompileKeepsConfig: what Compile sorts and derives is its own copy.
func TestCompileKeepsConfig(t *testing.T) {
	given := func() Config {
		cfg := chain()
		cfg.Addrs = addrs("10.0.0.1")
		cfg.Hops[0].DNS = addrs("10.1.0.1")
		cfg.Hops[1].MTU = 9000
		slices.Reverse(cfg.Hops)
		slices.Reverse(cfg.Routes)
		return cfg
	}
	cfg := given()
	_, err := Compile(cfg)
	must(t, err)
	if diff := cmp.Diff(given(), cfg, cmp.Comparer(func(a, b Key) bool { return a == b }), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

func TestCompileMergedCover(t *testing.T) {
	for _, tt := range []struct {
		name    string
		allowed []netip.Prefix
		route   string
		ok      bool
	}{
		{"equal", prefixes("10.0.0.0/8"), "10.0.0.0/8", true},
		{"inside", prefixes("10.0.0.0/8"), "10.255.0.0/16", true},
		{"halves", prefixes("10.0.0.0/9", "10.128.0.0/9"), "10.0.0.0/8", true},
		{"one half", prefixes("10.0.0.0/9"), "10.0.0.0/8", false},
		{"all but one address", prefixes("10.0.0.0/31", "10.0.0.2/32"), "10.0.0.0/30", false},
		{"single addresses", prefixes("10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/31"), "10.0.0.0/30", true},
		{"wg-quick's halves", prefixes("0.0.0.0/1", "128.0.0.0/1"), "0.0.0.0/0", true},
		{"IPv6 halves", prefixes("::/1", "8000::/1"), "::/0", true},
		{"other family", prefixes("::/0"), "0.0.0.0/0", false},
		{"last address of IPv6", prefixes("ffff::/16"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			cfg.Hops = cfg.Hops[:1]
			// Two peers: what both allow together counts.
			first := cfg.Hops[0].Peers[0]
			first.AllowedIPs = tt.allowed[:1]
			second := Peer{PublicKey: fixedKey(99).Public(), AllowedIPs: tt.allowed[1:]}
			cfg.Hops[0].Peers = []Peer{first, second}
			cfg.Routes = []Route{{Prefix: netip.MustParsePrefix(tt.route), Hop: "entry"}}
			if _, err := Compile(cfg); (err == nil) != tt.ok {
				t.Errorf("error %v, want one: %v", err, !tt.ok)
			}
		})
	}
}

// TestCovered compares covered with an oracle that tries every address of the
// smallest networks of both families.
func TestCovered(t *testing.T) {
	for _, base := range addrs("192.0.2.0", "2001:db8::") {
		bits := base.BitLen()
		t.Run(family(base), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, uint64(bits)))
			hits := 0
			for range 5000 {
				var set []netip.Prefix
				lite := new(bart.Lite)
				for range rnd.IntN(6) {
					p := smallPrefix(rnd, base, 5)
					set = append(set, p)
					lite.Insert(p)
				}
				p := smallPrefix(rnd, base, 5)
				want := true
				for a := p.Addr(); p.Contains(a); a = a.Next() {
					want = want && slices.ContainsFunc(set, func(x netip.Prefix) bool { return x.Contains(a) })
				}
				if want {
					hits++
				}
				if got := covered(lite, p); got != want {
					t.Fatalf("%v by %v: %v, want %v", p, set, got, want)
				}
			}
			if hits < 200 {
				t.Errorf("only %d cases were covered: the test says little", hits)
			}
		})
	}
}

// smallPrefix returns a prefix of at most 2^bits addresses from base on.
func smallPrefix(rnd *rand.Rand, base netip.Addr, bits int) netip.Prefix {
	b := base.AsSlice()
	b[len(b)-1] |= byte(rnd.IntN(1 << bits))
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, base.BitLen()-rnd.IntN(bits+1)).Masked()
}

func TestHalves(t *testing.T) {
	for _, s := range []string{"0.0.0.0/0", "10.0.0.0/7", "10.0.0.0/8", "192.0.2.254/31", "::/0", "2001:db8::/127"} {
		p := netip.MustParsePrefix(s)
		low, high := halves(p)
		if low.Addr() != p.Addr() || !p.Contains(high.Addr()) || low.Overlaps(high) || low.Bits() != p.Bits()+1 || high.Bits() != p.Bits()+1 || high != high.Masked() {
			t.Errorf("%v: %v and %v", p, low, high)
		}
	}
}

func TestSplitEndpoint(t *testing.T) {
	for _, tt := range []struct {
		in, host string
		port     uint16
	}{
		{"192.0.2.1:51820", "192.0.2.1", 51820},
		{"[2001:db8::1]:1", "2001:db8::1", 1},
		{"[2001:DB8:0::1]:1", "2001:db8::1", 1},
		{"[::ffff:192.0.2.1]:65535", "192.0.2.1", 65535},
		{"vpn.example:51820", "vpn.example", 51820},
	} {
		host, port, err := splitEndpoint(tt.in)
		if err != nil || host != tt.host || port != tt.port {
			t.Errorf("%s: %q %d %v", tt.in, host, port, err)
		}
	}
}

func FuzzSplitEndpoint(f *testing.F) {
	for _, s := range []string{"192.0.2.1:51820", "[2001:db8::1]:1", "vpn.example:51820", "", ":", "[]:1", "[fe80::1%x]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := splitEndpoint(s)
		if err != nil {
			return
		}
		if host == "" || port == 0 {
			t.Fatalf("%q: %q and %d", s, host, port)
		}
		again := fmt.Sprintf("%s:%d", host, port)
		if strings.Contains(host, ":") {
			again = fmt.Sprintf("[%s]:%d", host, port)
		}
		h2, p2, err := splitEndpoint(again)
		if err != nil || h2 != host || p2 != port {
			t.Fatalf("%q gave %q, which gave %q %d %v", s, again, h2, p2, err)
		}
	})
}
