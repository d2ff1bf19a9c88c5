package conf

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// A bitmap is the naive prefixSet: one bool for each address of a /26 of IPv4
// and of a /122 of IPv6, a universe small enough to list.
type bitmap [2][64]bool

// bases of the universe; both are aligned.
func universe() [2]netip.Addr {
	return [2]netip.Addr{netip.MustParseAddr("192.0.2.64"), netip.MustParseAddr("2001:db8::ff40")}
}

func randomPrefix(r *rand.Rand) netip.Prefix {
	base := universe()[r.IntN(2)]
	b := base.AsSlice()
	b[len(b)-1] += byte(r.IntN(64))
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, a.BitLen()-r.IntN(7)) // host bits are merge's to mask
}

// addresses calls f with the place of each address of p.
func addresses(p netip.Prefix, f func(family, i int)) {
	for family, base := range universe() {
		for i, a := 0, base; i < 64; i, a = i+1, a.Next() {
			if p.Contains(a) {
				f(family, i)
			}
		}
	}
}

func (m *bitmap) add(p netip.Prefix) { addresses(p, func(f, i int) { m[f][i] = true }) }

func (m *bitmap) covers(p netip.Prefix) bool {
	all := true
	addresses(p, func(f, i int) { all = all && m[f][i] })
	return all
}

func TestPrefixSetOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var in []netip.Prefix
		var want bitmap
		for range r.IntN(24) {
			p := randomPrefix(r)
			in = append(in, p)
			want.add(p)
		}
		given := slices.Clone(in)
		set := merge(in)
		if !slices.Equal(in, given) {
			t.Fatalf("merge changed its argument: %v", given)
		}
		var got bitmap
		for i, p := range set {
			got.add(p)
			if p != p.Masked() {
				t.Fatalf("merge(%v) = %v: %v has host bits", in, set, p)
			}
			if i == 0 {
				continue
			}
			if set[i-1].Overlaps(p) || set[i-1].Addr().Compare(p.Addr()) >= 0 {
				t.Fatalf("merge(%v) = %v: not disjoint and ascending", in, set)
			}
			if _, ok := join(set[i-1], p); ok {
				t.Fatalf("merge(%v) = %v: not the fewest", in, set)
			}
		}
		if got != want {
			t.Fatalf("merge(%v) = %v: not the same addresses", in, set)
		}
		for range 16 {
			p := randomPrefix(r)
			q, ok := set.cover(p)
			if ok != want.covers(p) || ok && (!slices.Contains(set, q) || !contains(q, p.Masked())) {
				t.Fatalf("%v.cover(%v) = %v, %t", set, p, q, ok)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"halves", "128.0.0.0/1 0.0.0.0/1 8000::/1 ::/1", "0.0.0.0/0 ::/0"},
		{"families stay apart", "::/0 10.0.0.0/8", "10.0.0.0/8 ::/0"},
		{"inside and equal", "10.1.0.0/16 10.0.0.0/8 10.0.0.0/8 10.255.255.255/32", "10.0.0.0/8"},
		{"neighbours that are not siblings", "10.1.0.0/16 10.2.0.0/16", "10.1.0.0/16 10.2.0.0/16"},
		{"a cascade", "0.0.0.0/3 32.0.0.0/3 64.0.0.0/2 128.0.0.0/1", "0.0.0.0/0"},
		{"the last addresses", "255.255.255.254/32 255.255.255.255/32 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
			"255.255.255.254/31 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := merge(prefixes(strings.Fields(tt.in)...)), prefixes(strings.Fields(tt.want)...); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// notPrivate is what generators write for "everything but private addresses".
const notPrivate = "1.0.0.0/8 2.0.0.0/8 3.0.0.0/8 4.0.0.0/6 8.0.0.0/7 11.0.0.0/8 12.0.0.0/6 16.0.0.0/4 " +
	"32.0.0.0/3 64.0.0.0/2 128.0.0.0/3 160.0.0.0/5 168.0.0.0/6 172.0.0.0/12 172.32.0.0/11 172.64.0.0/10 " +
	"172.128.0.0/9 173.0.0.0/8 174.0.0.0/7 176.0.0.0/4 192.0.0.0/9 192.128.0.0/11 192.160.0.0/13 192.169.0.0/16 " +
	"192.170.0.0/15 192.172.0.0/14 192.176.0.0/12 192.192.0.0/10 193.0.0.0/8 194.0.0.0/7 196.0.0.0/6 200.0.0.0/5 208.0.0.0/4"

func TestDefaults(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"both", "0.0.0.0/0 ::/0", "IPv4 and IPv6"},
		{"IPv4", "0.0.0.0/0", "IPv4"},
		{"IPv6", "::/0", "IPv6"},
		{"halves", "0.0.0.0/1 128.0.0.0/1", "IPv4"},
		{"halves of IPv6", "::/1 8000::/1", "IPv6"},
		{"one half", "0.0.0.0/1", ""},
		{"global unicast", "2000::/3", "IPv6"},
		{"global unicast in halves", "3000::/4 2000::/4", "IPv6"},
		{"half of global unicast", "2000::/4", ""},
		{"everything but private", notPrivate, "IPv4"},
		{"that without multicast", strings.Replace(notPrivate, "208.0.0.0/4", "208.0.0.0/4 224.0.0.0/4", 1), "IPv4"},
		{"that without one public /8", strings.Replace(notPrivate, "11.0.0.0/8 ", "", 1), ""},
		{"that without one public address", strings.Replace(notPrivate, "11.0.0.0/8 ", "11.0.0.0/9 11.128.0.0/10 11.192.0.0/11 11.224.0.0/12 11.240.0.0/13 11.248.0.0/14 11.252.0.0/15 11.254.0.0/16 ", 1), ""},
		{"everything but special-purpose blocks", specialFree(), "IPv4"},
		{"only private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := defaults(prefixes(strings.Fields(tt.in)...)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// specialFree returns 0.0.0.0/0 without the blocks that a default may lack, and
// so the least that is one.
func specialFree() string {
	var out []string
	var split func(p netip.Prefix)
	split = func(p netip.Prefix) {
		for _, s := range notPublic4() {
			if contains(s, p) {
				return
			}
			if s.Overlaps(p) {
				low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
				high := p.Addr().As4()
				high[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
				split(low)
				split(netip.PrefixFrom(netip.AddrFrom4(high), p.Bits()+1))
				return
			}
		}
		out = append(out, p.String())
	}
	split(netip.MustParsePrefix("0.0.0.0/0"))
	return strings.Join(out, " ")
}
