package router

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// TestRecent: what is remembered is what the table says, of few and of many
// destinations, of both families, and after the table has changed.
func TestRecent(t *testing.T) {
	r := New(nil)
	a := newHop(r, Hop{Name: "a", MTU: 1420, Addrs: addrs("10.1.0.2", "fd01::2")}, nil)
	b := newHop(r, Hop{Name: "b", MTU: 1420, Addrs: addrs("10.2.0.2", "fd02::2")}, nil)
	routes := []Route{
		{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/9"), netip.MustParsePrefix("2001:db8::/33")}, Hop: "a"},
		{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/10"), netip.MustParsePrefix("2001:db8:4000::/34")}, Hop: "b"},
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	anyOf := func(n uint32) netip.Addr { // one of n of each family; half of them have no route
		x := rnd.Uint32N(n) * (1 << 24 / n)
		if rnd.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(x >> 16), byte(x >> 8), byte(x)})
		}
		six := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(six[4:], x<<8)
		return netip.AddrFrom16(six)
	}
	seen := new(recent)
	var before *table
	for _, n := range []uint32{10, 1000, 1 << 16} {
		slices.Reverse(routes) // the rules have other numbers
		tab := tableAfter(t, before, addrs("192.0.2.1", "fd00::1"), routes, a, b)
		before = tab
		found := 0
		for range 100_000 {
			dst := anyOf(n)
			got, want := seen.follow(tab, packetTo(dst), dst), tab.follow(dst)
			if got != want {
				t.Fatalf("%v: %+v, want %+v", dst, got, want)
			}
			if got != nil {
				found++
			}
		}
		if found < 20_000 || found > 80_000 {
			t.Errorf("%d of 100,000 have a route", found)
		}
	}
}

// packetTo returns an IP header with that destination.
func packetTo(dst netip.Addr) []byte {
	pkt := make([]byte, 40)
	if dst.Is4() {
		pkt[0] = 0x45
		copy(pkt[16:], dst.AsSlice())
	} else {
		pkt[0] = 0x60
		copy(pkt[24:], dst.AsSlice())
	}
	return pkt
}

// TestRecentSpreads: neighbours do not share slots.
func TestRecentSpreads(t *testing.T) {
	for _, first := range addrs("10.0.0.0", "2001:db8::", "2001:db8:0:1::") {
		const n = 1 << recentBits / 16
		slots := make(map[uint64]bool)
		for a := range n {
			if first.Is4() {
				slots[keyOf(new(table), packetTo(netip.AddrFrom4([4]byte{10, 0, byte(a >> 8), byte(a)}))).slot()] = true
			} else {
				b := first.As16()
				binary.BigEndian.PutUint32(b[12:], uint32(a))
				slots[keyOf(new(table), packetTo(netip.AddrFrom16(b))).slot()] = true
			}
		}
		if len(slots) < n*9/10 {
			t.Errorf("%d neighbours of %v share %d slots", n, first, len(slots))
		}
	}
}
