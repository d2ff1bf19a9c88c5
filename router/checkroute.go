package router

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A planRule is what any number of prefixes have in common.
type planRule struct {
	target   string // hop or group; "": reject
	fallback string // likewise, for OnDown == Fallback
	onDown   Action
}

// A routeCheck is the state of checkRoutes.
type routeCheck struct {
	p       *Plan
	index   map[planRule]uint16
	members map[string][]*Hop
	allowed map[string]*bart.Lite // of each hop
}

// checkRoutes checks the routes, sorts them, and makes the plan's table of them.
func (p *Plan) checkRoutes() error {
	c := &routeCheck{p: p, index: make(map[planRule]uint16), members: make(map[string][]*Hop), allowed: make(map[string]*bart.Lite)}
	p.lpm = new(routeTable)
	for i := range p.cfg.Routes {
		route := &p.cfg.Routes[i]
		for prefix := range route.prefixes() {
			if err := c.add(route, prefix); err != nil {
				return &ConfigError{Hop: route.Hop, Field: fmt.Sprintf("Routes[%d]", i), Err: err}
			}
		}
	}
	p.lpm.seal()
	slices.SortStableFunc(p.cfg.Routes, func(a, b Route) int { return comparePrefixes(a.first(), b.first()) })
	return nil
}

// prefixes are all those of a route. One that has none has an invalid one.
func (r *Route) prefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		if r.Prefix.IsValid() || len(r.Prefixes) == 0 {
			if !yield(r.Prefix) {
				return
			}
		}
		for _, p := range r.Prefixes {
			if !yield(p) {
				return
			}
		}
	}
}

// first returns the first of them.
func (r *Route) first() netip.Prefix {
	if r.Prefix.IsValid() || len(r.Prefixes) == 0 {
		return r.Prefix
	}
	return r.Prefixes[0]
}

// comparePrefixes orders by family, address and length.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// add checks a prefix of a route and adds it to the table.
func (c *routeCheck) add(route *Route, prefix netip.Prefix) error {
	if !prefix.IsValid() || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
		return fmt.Errorf("%v: want a prefix without host bits", prefix)
	}
	if n, ok := c.p.lpm.Get(prefix); ok {
		return fmt.Errorf("%v is also a route of %s", prefix, c.p.nameTarget(c.p.rules[n].target))
	}
	n, err := c.rule(route)
	if err != nil {
		return fmt.Errorf("%v: %w", prefix, err)
	}
	for _, h := range c.members[route.Hop] {
		if err := c.fits(route, prefix, h); err != nil {
			return err
		}
	}
	for _, h := range c.members[route.Fallback] {
		if err := c.fits(route, prefix, h); err != nil {
			return fmt.Errorf("OnDown: hop %s: %w", h.Name, err)
		}
	}
	c.p.lpm.Insert(prefix, n)
	return nil
}

// rule returns the number of the rule that a route follows.
func (c *routeCheck) rule(route *Route) (uint16, error) {
	key := planRule{route.Hop, route.Fallback, route.OnDown}
	if n, ok := c.index[key]; ok {
		return n, nil
	}
	for _, name := range []string{route.Hop, route.Fallback} {
		if name == "" {
			continue
		}
		if c.members[name] = c.p.members(name); len(c.members[name]) == 0 {
			return 0, fmt.Errorf("there is no hop %q", name)
		}
	}
	switch {
	case route.OnDown > Fallback:
		return 0, fmt.Errorf("OnDown: %d is no action", route.OnDown)
	case route.Hop == "" && route.OnDown != Reject:
		return 0, errors.New("OnDown: the route rejects: no hop of it can be down")
	case route.OnDown == Fallback && route.Fallback == "":
		return 0, errors.New("OnDown: which hop is the fallback?")
	case route.OnDown != Fallback && route.Fallback != "":
		return 0, fmt.Errorf("OnDown: %s is never used: want OnDown = Fallback", route.Fallback)
	case route.OnDown == Fallback && route.Fallback == route.Hop:
		return 0, errors.New("OnDown: the hop is its own fallback")
	case len(c.p.rules) == noRule:
		return 0, errors.New("too many different rules")
	}
	n := uint16(len(c.p.rules))
	c.p.rules = append(c.p.rules, key)
	c.index[key] = n
	return n, nil
}

// fits checks that a hop can carry what a prefix covers.
func (c *routeCheck) fits(route *Route, prefix netip.Prefix, h *Hop) error {
	if !route.Derived && !prefix.Addr().Is4() && h.MTU < minMTUIPv6 {
		return fmt.Errorf("%v: %s", prefix, tooNarrow(h))
	}
	t := c.allowed[h.Name]
	if t == nil {
		t = new(bart.Lite)
		for _, peer := range h.Peers {
			for _, a := range peer.AllowedIPs {
				t.Insert(a)
			}
		}
		c.allowed[h.Name] = t
	}
	if covered(t, prefix) {
		return nil
	}
	if h.Name != route.Hop && route.Fallback != h.Name { // of a group
		return fmt.Errorf("%v is outside the AllowedIPs of hop %s: WireGuard would drop its packets", prefix, h.Name)
	}
	return fmt.Errorf("%v is outside the hop's AllowedIPs: WireGuard would drop its packets", prefix)
}

// nameTarget says what a route's Hop names.
func (p *Plan) nameTarget(name string) string {
	switch {
	case name == "":
		return "a route that rejects"
	case p.findGroup(name) != nil:
		return "group " + name
	}
	return "hop " + name
}

// covered reports whether the prefixes in t together cover p.
func covered(t *bart.Lite, p netip.Prefix) bool {
	if t.LookupPrefix(p) {
		return true
	}
	if p.IsSingleIP() || !t.OverlapsPrefix(p) {
		return false
	}
	low, high := halves(p)
	return covered(t, low) && covered(t, high)
}

// halves splits a prefix in two.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	low = netip.PrefixFrom(p.Addr(), bits)
	b := p.Addr().AsSlice()
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	a, _ := netip.AddrFromSlice(b) // the length is right
	return low, netip.PrefixFrom(a, bits)
}
