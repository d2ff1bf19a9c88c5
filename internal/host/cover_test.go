package host

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestDefaults(t *testing.T) {
	tests := []struct {
		name, prefixes string
		v4, v6         bool
	}{
		{"none", "", false, false},
		{"both", "0.0.0.0/0 ::/0", true, true},
		{"IPv4 in halves", "128.0.0.0/1 0.0.0.0/1", true, false},
		{"half of IPv4", "0.0.0.0/1", false, false},
		{"everything but private", "0.0.0.0/5 8.0.0.0/7 11.0.0.0/8 12.0.0.0/6 16.0.0.0/4 32.0.0.0/3 64.0.0.0/2 128.0.0.0/3 " +
			"160.0.0.0/5 168.0.0.0/6 172.0.0.0/12 172.32.0.0/11 172.64.0.0/10 172.128.0.0/9 173.0.0.0/8 174.0.0.0/7 176.0.0.0/4 " +
			"192.0.0.0/9 192.128.0.0/11 192.160.0.0/13 192.169.0.0/16 192.170.0.0/15 192.172.0.0/14 192.176.0.0/12 192.192.0.0/10 " +
			"193.0.0.0/8 194.0.0.0/7 196.0.0.0/6 200.0.0.0/5 208.0.0.0/4", true, false},
		{"all but one public address block", "0.0.0.0/5 8.0.0.0/8 10.0.0.0/7 12.0.0.0/6 16.0.0.0/4 32.0.0.0/3 64.0.0.0/2 128.0.0.0/1", false, false},
		{"global unicast", "2000::/3", false, true},
		{"half of global unicast", "3000::/4 fc00::/7", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v4, v6 := defaults(slices.Values(parse(strings.Fields(tt.prefixes)...))); v4 != tt.v4 || v6 != tt.v6 {
				t.Errorf("defaults = %v, %v; want %v, %v", v4, v6, tt.v4, tt.v6)
			}
		})
	}
}

func TestPrivate(t *testing.T) {
	for prefix, want := range map[string]bool{
		"10.0.0.0/8": true, "10.1.2.0/24": true, "172.31.0.0/16": true, "192.168.1.0/24": true, "169.254.0.0/16": true,
		"fd00::/8": true, "fe80::/64": true,
		"172.32.0.0/16": false, "8.8.8.0/24": false, "0.0.0.0/1": false, "10.0.0.0/7": false, "100.64.0.0/10": false,
		"2001:db8::/64": false, "fec0::/64": false,
	} {
		if got := private().has(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s is private: %v, want %v", prefix, got, want)
		}
	}
}

// The set agrees with the list that it was made of.
func TestCover(t *testing.T) {
	list := parse("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "192.0.2.0/25", "192.0.2.192/26", "2001:db8::/33", "2001:db8:8000::/33", "0.0.0.0/8")
	set := newCover(list)
	if len(set) != 5 {
		t.Errorf("set %v", set)
	}
	for p, want := range map[string]bool{"10.0.0.0/8": true, "10.0.0.0/7": false, "10.64.0.0/10": true, "192.0.2.0/24": false,
		"192.0.2.64/26": true, "2001:db8::/32": true, "2001:db8::/31": false} {
		if got := set.has(netip.MustParsePrefix(p)); got != want {
			t.Errorf("has(%s) = %v", p, got)
		}
	}
}

// Whether a list covers a prefix is what a list of all blocks of 6 bits says.
func TestCovers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(least int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rnd.UintN(64) << 2)}), least+rnd.IntN(7-least)).Masked()
	}
	covered := 0
	for range 5000 {
		var list []netip.Prefix
		for range rnd.IntN(40) {
			list = append(list, random(1))
		}
		whole := random(0)
		want := true
		for i := range 64 {
			block := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i << 2)}), 6)
			if whole.Overlaps(block) {
				want = want && slices.ContainsFunc(list, func(p netip.Prefix) bool { return within(block, p) })
			}
		}
		if want {
			covered++
		}
		k := rnd.IntN(len(list) + 1)
		if got := covers(whole, list[:k], slices.Values(list[k:])); got != want {
			t.Fatalf("covers(%v, %v) = %v", whole, list, got)
		}
	}
	if covered < 500 || covered > 4500 {
		t.Errorf("%d of 5000 lists cover: the test shows little", covered)
	}
}
