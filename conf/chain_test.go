package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// hopFile returns a file NAME.conf, whose one peer has the given AllowedIPs.
// Lines: 1 [Interface], 2 PrivateKey, 3 [Peer], 4 PublicKey, 5 Endpoint,
// 6 AllowedIPs, then more.
func hopFile(t *testing.T, name, allowed string, more ...string) *File {
	t.Helper()
	public := router.Key{1, byte(len(name))}
	copy(public[2:], name)
	return parse(t, name+".conf", testInterface+"[Peer]\nPublicKey = "+public.Encode()+
		"\nEndpoint = 192.0.2.1:51820\nAllowedIPs = "+allowed+"\n"+strings.Join(more, "\n")+"\n")
}

func routes(c *Instance) (out []string) {
	for _, r := range c.Config.Routes {
		out = append(out, r.Hop+"="+r.Prefix.String())
	}
	return out
}

func leftOuts(c *Instance) (out []string) {
	for _, l := range c.LeftOut {
		out = append(out, l.String())
	}
	return out
}

func TestChainRoutes(t *testing.T) {
	const (
		everything = "0.0.0.0/0, ::/0"
		hasIPv4    = "exit, further in, has the default of IPv4, so no hop outside it gets routes"
		hasIPv6    = "exit, further in, has the default of IPv6, so no hop outside it gets routes"
		replaced   = "--route replaces the routes of every file"
	)
	for _, tt := range []struct {
		name                string
		entry, middle, exit string // AllowedIPs; no middle: ""
		flags               []string
		want                []string
		left                []string
	}{
		{
			name: "a single file", exit: everything,
			want: []string{"exit=0.0.0.0/0", "exit=::/0"},
		},
		{
			name: "both have everything", entry: everything, exit: everything,
			want: []string{"exit=0.0.0.0/0", "exit=::/0"},
			left: []string{"0.0.0.0/0 of entry: exit, further in, has it too", "::/0 of entry: exit, further in, has it too"},
		},
		{
			name: "IPv4 inside everything", entry: everything, exit: "0.0.0.0/0",
			want: []string{"exit=0.0.0.0/0"},
			left: []string{"0.0.0.0/0 of entry: exit, further in, has it too", "::/0 of entry: " + hasIPv4},
		},
		{
			name: "IPv4 inside halves", entry: "0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1", exit: "0.0.0.0/0",
			want: []string{"exit=0.0.0.0/0"},
			left: []string{
				"0.0.0.0/1 of entry: inside 0.0.0.0/0 of exit, which is further in",
				"128.0.0.0/1 of entry: inside 0.0.0.0/0 of exit, which is further in",
				"::/1 of entry: " + hasIPv4, "8000::/1 of entry: " + hasIPv4,
			},
		},
		{
			name: "halves inside everything", entry: everything, exit: "0.0.0.0/1, 128.0.0.0/1",
			want: []string{"exit=0.0.0.0/1", "exit=128.0.0.0/1"},
			left: []string{"0.0.0.0/0 of entry: exit, further in, has it too", "::/0 of entry: " + hasIPv4},
		},
		{
			name: "halves of two peers", entry: "0.0.0.0/0", exit: "0.0.0.0/1\n[Peer]\nPublicKey=" + testPublic2 + "\nAllowedIPs=128.0.0.0/1",
			want: []string{"exit=0.0.0.0/1", "exit=128.0.0.0/1"},
			left: []string{"0.0.0.0/0 of entry: exit, further in, has it too"},
		},
		{
			name: "IPv6 inside everything", entry: everything, exit: "2000::/3",
			want: []string{"exit=2000::/3"},
			left: []string{"0.0.0.0/0 of entry: " + hasIPv6, "::/0 of entry: " + hasIPv6},
		},
		{
			name: "IPv6 in halves inside private prefixes", entry: "10.0.0.0/8", exit: "::/1, 8000::/1",
			want: []string{"exit=::/1", "exit=8000::/1"},
			left: []string{"10.0.0.0/8 of entry: " + hasIPv6},
		},
		{
			name: "a split", entry: everything, exit: "10.20.0.0/16",
			want: []string{"entry=0.0.0.0/0", "entry=::/0", "exit=10.20.0.0/16"},
		},
		{
			name: "equal and inside, not around", entry: "10.20.0.0/16, 10.20.30.0/24, 10.0.0.0/8", exit: "10.20.0.0/16",
			want: []string{"entry=10.0.0.0/8", "exit=10.20.0.0/16"},
			left: []string{"10.20.0.0/16 of entry: exit, further in, has it too", "10.20.30.0/24 of entry: inside 10.20.0.0/16 of exit, which is further in"},
		},
		{
			name: "half of the addresses is no default", entry: everything, exit: "0.0.0.0/1",
			want: []string{"entry=0.0.0.0/0", "entry=::/0", "exit=0.0.0.0/1"},
		},
		{
			name: "the middle has the default", entry: everything, middle: "0.0.0.0/0", exit: "10.0.0.0/8",
			want: []string{"middle=0.0.0.0/0", "exit=10.0.0.0/8"},
			left: []string{"0.0.0.0/0 of entry: middle, further in, has it too", "::/0 of entry: middle, further in, has the default of IPv4, so no hop outside it gets routes"},
		},
		{
			name: "the exit has the default", entry: "10.0.0.0/8", middle: "fd00::/8, 10.1.0.0/16", exit: "0.0.0.0/0",
			want: []string{"exit=0.0.0.0/0"},
			left: []string{
				"10.0.0.0/8 of entry: inside 0.0.0.0/0 of exit, which is further in",
				"fd00::/8 of middle: " + hasIPv4, "10.1.0.0/16 of middle: inside 0.0.0.0/0 of exit, which is further in",
			},
		},
		{
			name: "three hops split", entry: "0.0.0.0/0", middle: "10.0.0.0/8, 172.16.0.0/12", exit: "10.1.0.0/16, 172.16.0.0/12",
			want: []string{"entry=0.0.0.0/0", "middle=10.0.0.0/8", "exit=10.1.0.0/16", "exit=172.16.0.0/12"},
			left: []string{"172.16.0.0/12 of middle: exit, further in, has it too"},
		},
		{
			name: "two defaults together are none", entry: "::/0", middle: "0.0.0.0/1", exit: "128.0.0.0/1",
			want: []string{"entry=::/0", "middle=0.0.0.0/1", "exit=128.0.0.0/1"},
		},
		{
			name: "the exit has nothing", entry: "10.0.0.0/8", exit: "",
			want: []string{"entry=10.0.0.0/8"},
		},
		{
			name: "a route of the innermost", entry: everything, exit: "0.0.0.0/0", flags: []string{"198.51.100.0/24"},
			want: []string{"exit=198.51.100.0/24"},
			left: []string{"0.0.0.0/0 of entry: " + replaced, "::/0 of entry: " + replaced, "0.0.0.0/0 of exit: " + replaced},
		},
		{
			name: "routes of each", entry: "0.0.0.0/0", exit: "0.0.0.0/0", flags: []string{"entry=0.0.0.0/0", "exit=198.51.100.7", "198.51.100.7"},
			want: []string{"entry=0.0.0.0/0", "exit=198.51.100.7/32"},
			left: []string{"0.0.0.0/0 of entry: " + replaced, "0.0.0.0/0 of exit: " + replaced},
		},
		{
			name: "an explicit route inside an inner one", entry: "0.0.0.0/0", exit: "0.0.0.0/0", flags: []string{"0.0.0.0/0", "entry=203.0.113.0/24"},
			want: []string{"exit=0.0.0.0/0", "entry=203.0.113.0/24"},
			left: []string{"0.0.0.0/0 of entry: " + replaced, "0.0.0.0/0 of exit: " + replaced},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var files []*File
			if tt.entry != "" {
				files = append(files, hopFile(t, "entry", tt.entry))
			}
			if tt.middle != "" {
				files = append(files, hopFile(t, "middle", tt.middle))
			}
			files = append(files, hopFile(t, "exit", tt.exit))
			c, err := Chain(files, &Overrides{Routes: flags(t, tt.flags...)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, routes(c)); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.left, leftOuts(c)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChainDefaultSpellings: however an entry and an exit spell "everything",
// no prefix leaves at the entry, in either family.
func TestChainDefaultSpellings(t *testing.T) {
	lists := strings.ReplaceAll(notPrivate, " ", ", ")
	outer := []string{
		"0.0.0.0/0", "::/0", "0.0.0.0/0, ::/0", "0.0.0.0/1, 128.0.0.0/1", "0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1",
		lists, lists + ", 2000::/3", "10.64.0.0/10, fd00::/8", "2000::/3",
	}
	inner := []string{
		"0.0.0.0/0", "::/0", "0.0.0.0/0, ::/0", "0.0.0.0/1, 128.0.0.0/1", "::/1, 8000::/1",
		lists, lists + ", 2000::/3", "2000::/3", strings.ReplaceAll(specialFree(), " ", ", "),
	}
	for _, o := range outer {
		for _, i := range inner {
			c, err := Chain([]*File{hopFile(t, "entry", o), hopFile(t, "exit", i)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Config.Routes {
				if r.Hop != "exit" {
					t.Errorf("entry %s, exit %s: %s leaves at the entry", o, i, r.Prefix)
				}
			}
		}
	}
}

func TestChainHops(t *testing.T) {
	entry := hopFile(t, "wg0", "0.0.0.0/0", "[Interface]", "Address = 10.64.0.2/32, fd00::2/64, 10.64.0.2/24",
		"DNS = 10.64.0.1, a.example", "MTU = 1380", "ListenPort = 51821", "FwMark = 7", "Table = off")
	exit := hopFile(t, "wg0", "0.0.0.0/0", "PersistentKeepalive = 25", "PresharedKey = "+testPreshared,
		"[Peer]", "PublicKey = "+testPublic2, "Endpoint = b.example:1")
	c, err := Chain([]*File{entry, exit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	private := mustKey(testPrivate)
	want := []router.Hop{
		{
			Name: "wg0", PrivateKey: private, Addrs: addrs("10.64.0.2", "fd00::2"), DNS: addrs("10.64.0.1"),
			MTU: 1380, ListenPort: 51821, Peers: []router.Peer{entry.Peers[0].Peer},
		},
		{Name: "wg0-2", Via: "wg0", PrivateKey: private, Peers: []router.Peer{exit.Peers[0].Peer, exit.Peers[1].Peer}},
	}
	if diff := cmp.Diff(want, c.Config.Hops,
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Config.Addrs != nil {
		t.Errorf("TUN's addresses are %v, want none: Compile derives them", c.Config.Addrs)
	}
}

func TestChainWarnings(t *testing.T) {
	more := []string{"[Interface]", "DNS = 10.0.0.1", "Table = off", "FwMark = 1"}
	files := []*File{hopFile(t, "entry", "10.0.0.0/8", more...), hopFile(t, "exit", "0.0.0.0/0", more...)}
	shared := hopFile(t, "exit", "::/0", "PersistentKeepalive = 1")
	shared.Path = "dir/exit.conf"
	c, err := Chain(append(files, shared), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"dir/exit.conf:3: PublicKey: the same relay with the same PrivateKey as in exit.conf: a relay keeps one session a key, so the two hops will cut each other off",
		"exit.conf:9: Table: ignored: only that of a hop on the host's network counts, and entry carries this one",
		"exit.conf:10: FwMark: ignored: only that of a hop on the host's network counts, and entry carries this one",
		"entry.conf:8: DNS: ignored: in a chain only the last file's counts",
		"exit.conf:8: DNS: ignored: in a chain only the last file's counts",
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChainErrors(t *testing.T) {
	entry, exit := hopFile(t, "entry", "0.0.0.0/0"), hopFile(t, "exit", "0.0.0.0/0")
	for _, tt := range []struct {
		name  string
		files []*File
		flags []string
		want  string
	}{
		{"no files", nil, nil, "no files: a chain needs at least one"},
		{"second IPv4 address", []*File{entry, hopFile(t, "exit", "::/0", "[Interface]", "Address = 10.0.0.2, fd00::2", "Address = 10.0.0.3/8")}, nil,
			"exit.conf:9: Address: 10.0.0.3 is a second IPv4 address (the first is 10.0.0.2, line 8), and a hop can have one a family: remove one"},
		{"second IPv6 address", []*File{hopFile(t, "entry", "::/0", "[Interface]", "Address = fd00::1/64,fd00::2/64"), exit}, nil,
			"entry.conf:8: Address: fd00::2 is a second IPv6 address (the first is fd00::1, line 8), and a hop can have one a family: remove one"},
		{"unknown hop", []*File{entry, exit}, []string{"Exit=10.0.0.0/8"},
			`--route Exit=10.0.0.0/8: no hop is named "Exit": there are entry, exit (outermost first)`},
		{"one prefix for two hops", []*File{entry, exit}, []string{"entry=10.0.0.0/8", "10.1.2.3/8"},
			"--route 10.0.0.0/8: this prefix was given to entry already: keep one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Chain(tt.files, &Overrides{Routes: flags(t, tt.flags...)})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			var e *Error
			if located := strings.Contains(tt.want, ".conf:"); errors.As(err, &e) != located {
				t.Errorf("%T: is it an *Error? want %t", err, located)
			}
		})
	}
}

func TestParseRouteFlag(t *testing.T) {
	for _, tt := range []struct{ in, want, err string }{
		{in: "10.0.0.0/8", want: "10.0.0.0/8"},
		{in: "10.1.2.3/8", want: "10.0.0.0/8"},
		{in: "2001:db8::1", want: "2001:db8::1/128"},
		{in: "exit=::/0", want: "exit=::/0"},
		{in: "a=b=10.0.0.1", want: "a=b=10.0.0.1/32"},
		{in: "=10.0.0.1", err: `--route =10.0.0.1: no hop before "=": want PREFIX or HOP=PREFIX`},
		{in: "exit=", err: `--route exit=: "" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{in: "exit", err: `--route exit: "exit" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{in: "10.0.0.0/8=exit", err: `--route 10.0.0.0/8=exit: "exit" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
	} {
		f, err := ParseRouteFlag(tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: got %v, want %s", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || f.String() != tt.want {
			t.Errorf("%q: got %v, %v, want %s", tt.in, f, err, tt.want)
		}
	}
}

func flags(t *testing.T, ss ...string) (out []RouteFlag) {
	t.Helper()
	for _, s := range ss {
		f, err := ParseRouteFlag(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func TestHopNames(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for _, tt := range []struct{ in, want []string }{
		{[]string{"entry.conf", "/etc/wireguard/exit.conf", "./a/b.CONF"}, []string{"entry", "exit", "b"}},
		{[]string{"se-got", "us_nyc.wg", "a=b+c.conf"}, []string{"se-got", "us_nyc.wg", "a=b+c"}},
		{[]string{"wg (1).conf", "Köln.conf", "-v.conf", "..conf", ".hidden.conf"}, []string{"wg-1", "K-ln", "v", "hop", "hidden"}},
		{[]string{"", ".conf", "東京.conf"}, []string{"hop", "hop-2", "hop-3"}},
		{[]string{"entry.conf", "a/entry.conf", "b/entry.conf"}, []string{"entry", "entry-2", "entry-3"}},
		{[]string{"entry.conf", "a/entry.conf", "entry-2.conf"}, []string{"entry", "entry-3", "entry-2"}},
		{[]string{long + "y.conf", long}, []string{long, long[:maxName-2] + "-2"}},
	} {
		var names []string
		for _, path := range tt.in {
			names = append(names, hopName(path))
		}
		if got := uniqueNames(names); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}
