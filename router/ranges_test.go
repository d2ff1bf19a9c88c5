package router

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestRanges compares ranges with the trie that they are made of, at every
// address where they could differ.
func TestRanges(t *testing.T) {
	address := func(a uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
	}
	for _, tt := range []struct {
		name             string
		prefixes, rules  int
		least, most      int    // bits
		net              uint32 // of all
		netBits, repeats int
	}{
		{name: "none", repeats: 1, most: 1},
		{name: "everything", prefixes: 1, rules: 1, least: 0, most: 0, repeats: 1},
		{name: "few", prefixes: 5, rules: 3, least: 0, most: 32, repeats: 200},
		{name: "halves", prefixes: 3, rules: 2, least: 0, most: 2, repeats: 200},
		{name: "crowded", prefixes: 600, rules: 3, least: 24, most: 32, net: 10 << 24, netBits: 24, repeats: 20},
		{name: "at the end", prefixes: 60, rules: 3, least: 28, most: 32, net: 0xffffff00, netBits: 24, repeats: 20},
		{name: "all over", prefixes: 20000, rules: 5, least: 0, most: 32, repeats: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 7))
			for range tt.repeats {
				var all routeTable
				all.Insert(netip.MustParsePrefix("2001:db8::/32"), 0)
				ask := []uint32{0, 1<<32 - 1}
				for range tt.prefixes {
					a := rnd.Uint32()
					if tt.netBits > 0 {
						a = tt.net | a>>tt.netBits
					}
					bits := tt.least + rnd.IntN(tt.most-tt.least+1)
					p := netip.PrefixFrom(address(a), bits).Masked()
					all.Insert(p, uint16(rnd.IntN(tt.rules)))
					b := p.Addr().As4()
					first := binary.BigEndian.Uint32(b[:])
					last := first + uint32(1<<(32-bits)-1)
					ask = append(ask, first-1, first, a, last, last+1)
				}
				if _, ok := all.Lookup(address(ask[len(ask)/2])); ok {
					t.Fatal("detector: the answer does not come from the ranges")
				}
				all.seal()
				for _, a := range ask {
					n, ok := all.Lookup(address(a))
					want, wantOK := all.Table.Lookup(address(a))
					if ok != wantOK || ok && n != want {
						t.Fatalf("%v: rule %d (%v), want %d (%v), of %d prefixes", address(a), n, ok, want, wantOK, all.Size4())
					}
				}
				if n, ok := all.Lookup(netip.MustParseAddr("2001:db8::1")); n != 0 || !ok {
					t.Fatal("IPv6 is lost")
				}
				if _, ok := all.Lookup(netip.MustParseAddr("::ffff:10.0.0.1")); ok {
					t.Fatal("an IPv6 address that holds an IPv4 one is none")
				}
			}
		})
	}
}
