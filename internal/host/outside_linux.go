package host

import "net/netip"

// outside returns what our table leaves to the table main: what is excluded, the
// LAN, the routes of other instances, and what does not leave the link.
func (h *Host) outside(c *Config, v *view) []netip.Prefix {
	own := make(map[netip.Prefix]bool) // routes to private networks, asked for by name
	lan := private()
	for p := range c.prefixes() {
		if lan.has(p) {
			own[p] = true
		}
	}
	out := append(parse("224.0.0.0/24", "ff02::/16"), c.Exclude...)
	out = append(out, v.others...) // where we have the same prefix, its guard comes first
	for _, l := range v.lan {
		if p, ok := inside(l.Prefix, own); ok {
			h.k.warn("the network %s on %s is inside route %s: its packets enter the tunnel", l.Prefix, l.Interface, p)
			continue
		}
		out = append(out, l.Prefix)
	}
	return out
}

// inside returns the longest prefix of set that contains p.
func inside(p netip.Prefix, set map[netip.Prefix]bool) (netip.Prefix, bool) {
	for bits := p.Bits(); len(set) > 0 && bits >= 0; bits-- {
		if q := netip.PrefixFrom(p.Addr(), bits).Masked(); set[q] {
			return q, true
		}
	}
	return netip.Prefix{}, false
}
