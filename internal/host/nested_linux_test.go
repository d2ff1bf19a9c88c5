package host

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// wireguard makes an interface with the socket of WireGuard in userspace behind
// it, and a peer at endpoint.
func wireguard(t *testing.T, name, endpoint string, mark uint32) {
	t.Helper()
	addTUN(t, name)
	up(t, name)
	must(t, os.MkdirAll(uapiDir, 0o700))
	path := filepath.Join(uapiDir, name+".sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			fmt.Fprintf(c, "private_key=%064d\nlisten_port=51820\nfwmark=%d\npublic_key=%064d\nendpoint=%s\nerrno=0\n\n", 1, mark, 2, endpoint)
			c.Close()
		}
	}()
}

func TestNested(t *testing.T) {
	const elsewhere, ours = "203.0.114.5:51820", "198.51.100.7:51820"
	theirEndpoint, ourEndpoint := netip.MustParseAddrPort(elsewhere), netip.MustParseAddrPort(ours)
	config := func() Config {
		c := fullConfig()
		c.Endpoints = c.Endpoints[:1]
		return c
	}
	route := func(t *testing.T, prefix, dev string, table int) {
		t.Helper()
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, dev).Attrs().Index, Dst: ipNetOf(prefix), Table: table}))
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T)
		config  func() Config
		want    []Nesting
	}{
		{"alone", func(*testing.T) {}, config, nil},
		{"theirs inside ours", func(t *testing.T) { wireguard(t, "wg7", elsewhere, 0) }, config,
			[]Nesting{{"wg7", theirEndpoint, "mh0", "FwMark = 0xce54 in the file of wg7, and for the kill switch Exclude = 203.0.114.5 in the profile of mh0"}}},
		{"theirs inside ours, no kill switch", func(t *testing.T) { wireguard(t, "wg7", elsewhere, 0) },
			func() Config { c := config(); c.KillSwitch = Off; return c },
			[]Nesting{{"wg7", theirEndpoint, "mh0", "FwMark = 0xce54 in the file of wg7"}}},
		{"theirs has the mark", func(t *testing.T) { wireguard(t, "wg7", elsewhere, firstMark) }, config, nil},
		{"theirs is excluded", func(t *testing.T) { wireguard(t, "wg7", "203.0.113.5:51820", 0) }, config, nil},
		{"theirs inside a prefix of ours", func(t *testing.T) { wireguard(t, "wg7", "10.20.0.5:51820", 0) }, splitConfig,
			[]Nesting{{"wg7", netip.MustParseAddrPort("10.20.0.5:51820"), "mh0", "Exclude = 10.20.0.5 in the profile of mh0"}}},
		{"theirs outside of our prefixes", func(t *testing.T) { wireguard(t, "wg7", elsewhere, 0) }, splitConfig, nil},
		{"ours inside theirs", func(t *testing.T) {
			wireguard(t, "wg7", "203.0.113.5:51820", 0)
			route(t, "198.51.100.0/24", "wg7", 0)
		}, config, []Nesting{{"mh0", ourEndpoint, "wg7", "take 198.51.100.7 out of the routes of wg7"}}},
		{"ours inside theirs, by its rules", func(t *testing.T) { // as wg-quick's, which come before ours
			wireguard(t, "wg7", "203.0.113.5:51820", 51820)
			route(t, "0.0.0.0/0", "wg7", 51820)
			r := netlink.NewRule()
			r.Priority, r.Mark, r.Invert, r.Table = 3000, 51820, true, 51820
			must(t, netlink.RuleAdd(r))
		}, config, []Nesting{{"mh0", ourEndpoint, "wg7", "FwMark = 0xca6c in the profile of mh0"}}},
		{"ours inside another program's", func(t *testing.T) {
			addTUN(t, "tun7")
			up(t, "tun7")
			route(t, "198.51.100.0/24", "tun7", 0)
		}, config, []Nesting{{"mh0", ourEndpoint, "tun7", "take 198.51.100.7 out of the routes of tun7"}}},
		{"a loop", func(t *testing.T) {
			up(t, "mh0")
			route(t, "198.51.100.0/24", "mh0", 0)
		}, config, []Nesting{{"mh0", ourEndpoint, "mh0",
			`a loop: somebody else's route or rule sends our own packets back to us: see "ip route get 198.51.100.7 mark 0xce54"`}}},
	}
	for _, tt := range tests {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, up %v", tt.name, up), func(t *testing.T) {
				newHost(t)
				tt.prepare(t)
				h := openHost(t, t.TempDir())
				c := tt.config()
				if up {
					must(t, h.Choose(&c))
					_, err := h.Apply(t.Context(), c)
					must(t, err)
				}
				got, err := h.Nested(c)
				must(t, err)
				if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
					t.Errorf("want -, got +:\n%s", d)
				}
			})
		}
	}
}

// Another instance is found by its journal.
func TestNestedInstances(t *testing.T) {
	newHost(t)
	addTUN(t, "mh1")
	dir := t.TempDir()
	a, b := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
	c, d := fullConfig(), second(fullConfig())
	c.Endpoints, d.Endpoints = c.Endpoints[:1], []netip.AddrPort{netip.MustParseAddrPort("198.51.100.8:51820")}
	apply(t, a, c)
	apply(t, b, d)
	got, err := a.Nested(c)
	if err != nil || len(got) != 1 || got[0].Interface != "mh1" || got[0].Inside != "mh0" {
		t.Errorf("of the first: %v, %v", got, err)
	}
	must(t, b.Choose(&d))
	got, err = b.Nested(d)
	if err != nil || len(got) != 1 || got[0].Interface != "mh1" || got[0].Inside != "mh0" {
		t.Errorf("of the second: %v, %v", got, err)
	}
}

// Where there is no other tunnel, however many routes there are need not be derived.
func TestNestedAlone(t *testing.T) {
	newHost(t)
	h := openHost(t, t.TempDir())
	const n = 100_000
	c := manyConfig(n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	found, err := h.Nested(c)
	runtime.ReadMemStats(&after)
	must(t, err)
	if bytes := after.TotalAlloc - before.TotalAlloc; len(found) > 0 || bytes > 32*n {
		t.Errorf("%v, with %d bytes", found, bytes)
	}
}
