package host

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"multihop/internal/firewall"
)

// wanted returns the routes of c by rules and a table of their own.
func wanted(c *Config, v *view) *state {
	h := &Host{k: &kernel{tun: c.Name}, journal: &journal{}}
	l := layout{policy: true, table: firstMark}
	l.v4, l.v6 = c.defaults()
	s := &state{}
	h.routes(s, c, l, v, ipv6{})
	return s
}

// A fate is what a table does with a packet; the zero one: it has no route.
type fate struct {
	found, throw bool
	hop          string // "": rejected, or thrown
	mtu          int
}

// A naiveTable has every prefix, and looks at each.
type naiveTable map[netip.Prefix]fate

func newNaiveTable(c *Config, v *view) naiveTable {
	t := make(naiveTable)
	outside := append(parse("224.0.0.0/24", "ff02::/16"), c.Exclude...)
	for _, l := range v.lan {
		outside = append(outside, l.Prefix)
	}
	for _, p := range slices.Concat(outside, v.others) {
		t[p] = fate{found: true, throw: true}
	}
	if v4, v6 := c.defaults(); v4 && !v6 {
		t[netip.PrefixFrom(netip.IPv6Unspecified(), 0)] = fate{found: true}
	}
	for p, r := range c.prefixes() {
		switch {
		case slices.Contains(c.Exclude, p):
		case r.Reject:
			t[p] = fate{found: true}
		default:
			t[p] = fate{found: true, hop: r.Hop, mtu: r.MTU}
		}
	}
	return t
}

func (t naiveTable) lookup(a netip.Addr) (found fate) {
	bits := -1
	for p, x := range t {
		if p.Bits() > bits && p.Contains(a) {
			found, bits = x, p.Bits()
		}
	}
	return found
}

// around returns what the table does with the packets of p if it has no p.
func (t naiveTable) around(p netip.Prefix) (found fate) {
	bits := -1
	for q, x := range t {
		if q != p && q.Bits() > bits && within(p, q) {
			found, bits = x, q.Bits()
		}
	}
	return found
}

// tableOf returns what s says, with the hops' names of c.
func tableOf(s *state, c *Config) naiveTable {
	t := make(naiveTable)
	for _, r := range s.guards {
		t[r.prefix()] = fate{found: true, throw: r.kind == throw}
	}
	hops := make(map[netip.Prefix]string)
	for p, r := range c.prefixes() {
		hops[p] = r.Hop
	}
	for _, r := range s.tuns {
		t[r.prefix()] = fate{found: true, hop: hops[r.prefix()], mtu: int(r.mtu)}
	}
	return t
}

// randomNested returns a prefix, mostly one inside or around one of those before.
func randomNested(rnd *rand.Rand, before []netip.Prefix) netip.Prefix {
	b := make([]byte, 4)
	if rnd.IntN(3) == 0 {
		b = make([]byte, 16)
	}
	for i := range b {
		b[i] = byte(rnd.UintN(256))
	}
	a, _ := netip.AddrFromSlice(b)
	bits := rnd.IntN(a.BitLen() + 1)
	if len(before) > 0 && rnd.IntN(5) > 0 {
		p := before[rnd.IntN(len(before))]
		a = p.Addr()
		bits = min(a.BitLen(), max(0, p.Bits()+rnd.IntN(9)-3))
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// randomConfig returns routes of few hops and MTUs, and what is around them.
func randomConfig(rnd *rand.Rand) (*Config, *view) {
	c, v := &Config{Name: "mh0"}, &view{}
	var all []netip.Prefix
	for range rnd.IntN(40) {
		p := randomNested(rnd, all)
		if slices.Contains(all, p) {
			continue
		}
		all = append(all, p)
		r := Route{Prefix: p, Hop: string(rune('a' + rnd.IntN(3))), MTU: 1300 + rnd.IntN(2), Reject: rnd.IntN(10) == 0}
		if n := len(c.Routes); n > 0 && rnd.IntN(2) == 0 {
			c.Routes[n-1].Prefixes = append(c.Routes[n-1].Prefixes, p)
		} else {
			c.Routes = append(c.Routes, r)
		}
	}
	for range rnd.IntN(4) {
		c.Exclude = append(c.Exclude, randomNested(rnd, all))
		v.others = append(v.others, randomNested(rnd, all))
		if p := randomNested(rnd, all); !private().has(p) { // else the names of routes matter
			v.lan = append(v.lan, firewall.LANPrefix{Prefix: p, Interface: "eth0"})
		}
	}
	return c, v
}

// edges returns the first and last address of each prefix, those around it, and
// random ones.
func edges(rnd *rand.Rand, t naiveTable) (all []netip.Addr) {
	for p := range t {
		first := p.Addr()
		b := first.AsSlice()
		for i := p.Bits(); i < len(b)*8; i++ {
			b[i/8] |= 0x80 >> (i % 8)
		}
		last, _ := netip.AddrFromSlice(b)
		all = append(all, first, last, first.Prev(), last.Next(), randomNested(rnd, nil).Addr())
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
}

// What is left out changes nothing: each packet has the hop and MTU that the table
// with all prefixes gives it, also after SetRouteMTU.
func TestWithoutRepeatsOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	left := 0
	for range 2000 {
		c, v := randomConfig(rnd)
		s, all := wanted(c, v), newNaiveTable(c, v)
		few := tableOf(s, c)
		left += len(all) - len(few)
		compare := func(what string) {
			t.Helper()
			for _, a := range edges(rnd, all) {
				if got, want := few.lookup(a), all.lookup(a); got != want {
					t.Fatalf("%s: %s: %+v, want %+v\nall %v\nfew %v", what, a, got, want, all, few)
				}
			}
		}
		compare("as wanted")
		for p, x := range few {
			if x.hop != "" && few.around(p) == x {
				t.Fatalf("%s repeats what is around it: %v", p, few)
			}
		}
		c.setMTU("a", 1280)
		for p, r := range c.prefixes() { // as SetRouteMTU does
			if x, ok := findPrefix(s.tuns, firstMark, p); ok && r.Hop == "a" {
				x.mtu = 1280
			}
		}
		few, all = tableOf(s, c), newNaiveTable(c, v)
		compare("with another MTU")
	}
	if left < 2000 {
		t.Errorf("only %d were left out", left)
	}
}

// described returns the routes into the TUN and the guards of s, sorted.
func described(s *state) (tuns, guards []string) {
	for _, r := range s.tuns {
		tuns = append(tuns, fmt.Sprintf("%s mtu %d", r.prefix(), r.mtu))
	}
	for _, r := range s.guards {
		if r.kind == unreachable {
			guards = append(guards, r.prefix().String())
		}
	}
	return tuns, guards
}

func TestWithoutRepeats(t *testing.T) {
	many := func(base string) (prefixes []netip.Prefix) {
		b := netip.MustParseAddr(base).AsSlice()
		for i := range 300 {
			b[1], b[2] = byte(i>>8), byte(i)
			a, _ := netip.AddrFromSlice(b)
			prefixes = append(prefixes, netip.PrefixFrom(a, 24))
		}
		return prefixes
	}
	route := func(hop string, mtu int, prefixes ...string) Route {
		return Route{Hop: hop, MTU: mtu, Prefixes: parse(prefixes...)}
	}
	for _, tt := range []struct {
		name    string
		routes  []Route
		exclude []netip.Prefix
		tuns    []string
		guards  []string // beside those of tuns
	}{
		{"a default and 300 of it", []Route{
			{Hop: "a", MTU: 1400, Prefixes: slices.Concat(parse("0.0.0.0/0", "::/0"), many("16.0.0.0"), many("2000::"))},
		}, nil, []string{"0.0.0.0/0 mtu 1400", "::/0 mtu 1400"}, nil},
		{"another hop between", []Route{
			route("a", 1400, "0.0.0.0/0", "::/0", "10.1.2.0/24", "10.2.0.0/16"), route("b", 1400, "10.1.0.0/16"),
		}, nil, []string{"0.0.0.0/0 mtu 1400", "10.1.0.0/16 mtu 1400", "10.1.2.0/24 mtu 1400", "::/0 mtu 1400"}, nil},
		{"another MTU between", []Route{
			route("a", 1400, "0.0.0.0/0", "::/0", "10.1.2.0/24"), route("a", 1300, "10.1.0.0/16", "10.1.3.0/24"),
		}, nil, []string{"0.0.0.0/0 mtu 1400", "10.1.0.0/16 mtu 1300", "10.1.2.0/24 mtu 1400", "::/0 mtu 1400"}, nil},
		{"a hole between", []Route{route("a", 1400, "0.0.0.0/0", "::/0", "10.1.2.0/24")}, parse("10.1.0.0/16"),
			[]string{"0.0.0.0/0 mtu 1400", "10.1.2.0/24 mtu 1400", "::/0 mtu 1400"}, nil},
		{"a route that rejects between", []Route{
			route("a", 1400, "0.0.0.0/0", "::/0", "10.1.2.0/24"), {Hop: "a", MTU: 1400, Prefix: netip.MustParsePrefix("10.1.0.0/16"), Reject: true},
		}, nil, []string{"0.0.0.0/0 mtu 1400", "10.1.2.0/24 mtu 1400", "::/0 mtu 1400"}, []string{"10.1.0.0/16"}},
		{"one after the other", []Route{route("a", 1400, "10.0.0.0/8", "10.0.0.0/16", "11.0.0.0/8", "11.0.0.0/16", "11.0.0.0/24")}, nil,
			[]string{"10.0.0.0/8 mtu 1400", "11.0.0.0/8 mtu 1400"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Config{Name: "mh0", Routes: tt.routes, Exclude: tt.exclude}
			tuns, guards := described(wanted(c, &view{}))
			for i := range tt.routes {
				guards = slices.DeleteFunc(guards, func(p string) bool {
					return slices.Contains(tuns, fmt.Sprintf("%s mtu %d", p, tt.routes[i].MTU))
				})
			}
			if !slices.Equal(tuns, tt.tuns) || !slices.Equal(guards, tt.guards) {
				t.Errorf("got  %v and %v\nwant %v and %v", tuns, guards, tt.tuns, tt.guards)
			}
		})
	}
}

// A table that is not ours alone has every prefix: a longer one of somebody else's
// would win over what stands for several.
func TestRepeatsStay(t *testing.T) {
	h := &Host{k: &kernel{tun: "mh0"}, journal: &journal{}}
	c := config("10.0.0.0/8")
	c.Routes[0].Prefixes = parse("10.1.0.0/16")
	s := &state{}
	h.routes(s, &c, layout{table: 254}, &view{}, ipv6{})
	if len(s.tuns) != 2 || len(s.guards) != 2 {
		t.Errorf("%d routes and %d guards, want 2 of each", len(s.tuns), len(s.guards))
	}
}

// What leads from one set of routes to another brings back what a change makes
// needed, and nothing else.
func TestRepeatsReload(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		from, v := randomConfig(rnd)
		to := *from
		to.Routes = slices.Clone(from.Routes)
		if n := len(to.Routes); n > 0 && rnd.IntN(2) == 0 {
			to.Routes = slices.Delete(to.Routes, 0, 1+rnd.IntN(n))
		}
		var all []netip.Prefix
		for p := range from.each() {
			all = append(all, p)
		}
		if p := randomNested(rnd, all); !slices.Contains(all, p) {
			to.Routes = append(to.Routes, Route{Prefix: p, Hop: "d", MTU: 1300})
		}
		have, want := wanted(from, v), wanted(&to, v)
		for _, l := range [][2][]route{{have.guards, want.guards}, {have.tuns, want.tuns}} {
			do, gone := diffRoutes(l[0], l[1])
			if got := after(l[0], slices.Concat(do, gone)); !slices.EqualFunc(got, l[1], route.same) {
				t.Fatalf("got  %v\nwant %v", got, l[1])
			}
		}
	}
}

// after returns what steps make of routes, sorted.
func after(routes []route, steps []step) []route {
	now := make(map[string]route)
	for _, r := range routes {
		now[r.key()] = r
	}
	for _, s := range steps {
		if s.new == nil {
			delete(now, s.old.key())
		} else {
			now[s.new.key()] = *s.new.(*route)
		}
	}
	return sortRoutes(slices.Collect(maps.Values(now)))
}

// The kernel's table follows: what is left out comes back when another hop's prefix
// makes it needed, goes again with that, and nothing is left at the end.
func TestRepeatsInKernel(t *testing.T) {
	needTools(t)
	newHost(t)
	before := told(t)
	h := openHost(t, t.TempDir())
	c := config("0.0.0.0/0")
	c.Routes[0].Hop, c.Routes[0].Prefixes = "a", parse("10.1.2.0/24", "::/0")
	has := func(prefix string) bool {
		t.Helper()
		found := false
		must(t, h.k.routes(h.Status().Table, func() { found = false }, func(r *hostRoute) {
			found = found || r.prefix() == netip.MustParsePrefix(prefix)
		}))
		return found
	}
	apply(t, h, c)
	if has("10.1.2.0/24") {
		t.Error("a route that the default stands for")
	}
	must(t, h.SetRouteMTU("a", 1300))
	if has("10.1.2.0/24") {
		t.Error("a route that the default stands for, after another MTU")
	}
	between := c
	between.Routes = append(slices.Clone(c.Routes), Route{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Hop: "b", MTU: 1300})
	apply(t, h, between)
	if !has("10.1.2.0/24") || !has("10.1.0.0/16") {
		t.Error("what another hop's prefix makes needed is not there")
	}
	apply(t, h, c)
	if has("10.1.2.0/24") || has("10.1.0.0/16") {
		t.Error("what is needed no more is still there")
	}
	must(t, h.Close())
	sameState(t, before)
}

func BenchmarkWithoutRepeats(b *testing.B) {
	c := manyConfig(1 << 20)
	c.Routes[len(c.Routes)-1].Prefix = netip.MustParsePrefix("0.0.0.0/0")
	for b.Loop() {
		if s := wanted(&c, &view{}); len(s.tuns) != 3 {
			b.Fatalf("%d routes", len(s.tuns))
		}
	}
}
