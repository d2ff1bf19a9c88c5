package conf

import (
	"net/netip"
	"slices"
)

// A prefixSet is a set of addresses as the fewest prefixes that cover it
// exactly: masked, disjoint, IPv4 first, each family in ascending order.
type prefixSet []netip.Prefix

// merge returns the set of the addresses in prefixes.
func merge(prefixes []netip.Prefix) prefixSet {
	sorted := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		sorted[i] = p.Masked()
	}
	var set prefixSet
	for _, p := range sortPrefixes(sorted) {
		if n := len(set); n > 0 && contains(set[n-1], p) {
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

// sortPrefixes sorts prefixes in place and returns them: each right before those
// inside it, for netip.Addr.Compare puts IPv4 first, and of equal addresses the
// shorter prefix goes first.
func sortPrefixes(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, comparePrefixes)
	return prefixes
}

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// hasPrefix reports whether the sorted list has p.
func hasPrefix(sorted []netip.Prefix, p netip.Prefix) bool {
	_, ok := slices.BinarySearchFunc(sorted, p, comparePrefixes)
	return ok
}

// cover returns the prefix of s that contains p. Because s is the fewest
// prefixes, there is one if and only if every address of p is in s.
func (s prefixSet) cover(p netip.Prefix) (netip.Prefix, bool) {
	i, exact := slices.BinarySearchFunc(s, p.Masked().Addr(), func(q netip.Prefix, a netip.Addr) int {
		return q.Addr().Compare(a)
	})
	if !exact {
		i-- // the last that starts before p
	}
	if i < 0 || !contains(s[i], p) {
		return netip.Prefix{}, false
	}
	return s[i], true
}

// contains reports whether every address of q is in p.
func contains(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

// join returns the prefix whose halves are a and b, which are disjoint and in
// this order.
func join(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() != b.Bits() || a.Bits() == 0 {
		return netip.Prefix{}, false
	}
	parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return parent, parent.Addr() == a.Addr() && parent.Contains(b.Addr())
}

// defaults names the families of which prefixes have the default: all of the
// public unicast addresses. It returns "IPv4", "IPv6", "IPv4 and IPv6", or "".
func defaults(prefixes []netip.Prefix) string {
	_, v4 := merge(append(notPublic4(), prefixes...)).cover(netip.MustParsePrefix("0.0.0.0/0"))
	_, v6 := merge(prefixes).cover(netip.MustParsePrefix("2000::/3"))
	switch {
	case v4 && v6:
		return "IPv4 and IPv6"
	case v4:
		return "IPv4"
	case v6:
		return "IPv6"
	}
	return ""
}

// notPublic4 returns the IPv4 prefixes that a default may lack: the
// special-purpose blocks of RFC 6890, section 2.2.2, and multicast.
func notPublic4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this host on this network
		netip.MustParsePrefix("10.0.0.0/8"),      // private use
		netip.MustParsePrefix("100.64.0.0/10"),   // shared address space
		netip.MustParsePrefix("127.0.0.0/8"),     // loopback
		netip.MustParsePrefix("169.254.0.0/16"),  // link local
		netip.MustParsePrefix("172.16.0.0/12"),   // private use
		netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // TEST-NET-1
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relay anycast
		netip.MustParsePrefix("192.168.0.0/16"),  // private use
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
		netip.MustParsePrefix("198.51.100.0/24"), // TEST-NET-2
		netip.MustParsePrefix("203.0.113.0/24"),  // TEST-NET-3
		netip.MustParsePrefix("224.0.0.0/4"),     // multicast, RFC 5771
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and limited broadcast
	}
}
