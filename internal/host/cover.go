package host

import (
	"iter"
	"math"
	"net/netip"
	"slices"
)

// A cover is a set of addresses as the fewest prefixes that make it up: masked,
// disjoint, sorted, IPv4 first.
type cover []netip.Prefix

// newCover returns the set of the addresses in prefixes.
func newCover(prefixes []netip.Prefix) cover {
	sorted := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, comparePrefixes)
	set := cover(sorted[:0]) // behind what is still to be read
	for _, p := range sorted {
		if n := len(set); n > 0 && within(p, set[n-1]) {
			continue
		}
		set = append(set, p)
		for n := len(set); n > 1; n-- {
			parent, ok := join(set[n-2], set[n-1])
			if !ok {
				break
			}
			set = append(set[:n-2], parent)
		}
	}
	return set
}

// comparePrefixes puts a prefix right before those inside it.
func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// has reports whether every address of p is in the set.
func (c cover) has(p netip.Prefix) bool {
	i, exact := slices.BinarySearchFunc(c, p.Masked().Addr(), func(q netip.Prefix, a netip.Addr) int {
		return q.Addr().Compare(a)
	})
	if !exact {
		i-- // the last that starts before p
	}
	return i >= 0 && within(p, c[i])
}

// within reports whether every address of p is in q.
func within(p, q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }

// join returns the prefix whose halves are a and b, which are disjoint and in
// this order.
func join(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() != b.Bits() || a.Bits() == 0 {
		return netip.Prefix{}, false
	}
	parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return parent, parent.Addr() == a.Addr() && parent.Contains(b.Addr())
}

// defaults reports whether prefixes have the default of IPv4 and of IPv6: all
// public unicast addresses.
func defaults(prefixes iter.Seq[netip.Prefix]) (v4, v6 bool) {
	// Special-purpose blocks of RFC 6890, section 2.2.2, and multicast: a default
	// may lack them.
	special := parse("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4")
	return covers(netip.MustParsePrefix("0.0.0.0/0"), special, prefixes),
		covers(netip.MustParsePrefix("2000::/3"), nil, prefixes)
}

// covers reports whether every address of whole is in some or in prefixes. Of a
// million prefixes it is mostly enough to count the addresses.
func covers(whole netip.Prefix, some []netip.Prefix, prefixes iter.Seq[netip.Prefix]) bool {
	share := 0.0 // of whole; what is in several counts as often
	count := func(p netip.Prefix) {
		if p.Overlaps(whole) {
			share += math.Exp2(float64(min(0, whole.Bits()-p.Bits())))
		}
	}
	for _, p := range some {
		count(p)
	}
	for p := range prefixes {
		count(p)
	}
	if share < 1-1e-9 { // by far more than what adding a million of them may lose
		return false
	}
	return newCover(slices.AppendSeq(slices.Clone(some), prefixes)).has(whole)
}

// private returns the set of the addresses that a LAN may have: RFC 1918, RFC
// 4193, link local.
func private() cover {
	return newCover(parse("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"))
}

func parse(prefixes ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range prefixes {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
