package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"multihop/router"
)

// A claim is what a branch's routes keep from the AllowedIPs of its carriers.
type claim struct {
	set      prefixSet
	defaults string // families, "" for none
}

// route gives each branch its routes: explicit ones as they are, else its
// AllowedIPs, but for what a hop further in claims.
func (t *tree) route() (routes []router.Route, left []LeftOut, err error) {
	all := t.branches()
	for _, b := range all {
		if !b.explicit {
			left = append(left, b.derive()...)
		}
	}
	for _, b := range all {
		if slices.ContainsFunc(all, func(c *branch) bool { return !c.explicit && c.carries(b) }) {
			b.claim = claim{merge(b.routes), defaults(b.routes)}
		}
	}
	for _, b := range all {
		if !b.explicit {
			left = append(left, b.leaveOut(all)...)
		}
	}
	if err := t.conflict(all); err != nil {
		return nil, nil, err
	}
	for _, b := range all {
		routes = append(routes, t.routesOf(b)...)
	}
	return routes, left, nil
}

// maxSeparate is how many explicit routes a branch has one by one.
const maxSeparate = 256

// routesOf returns the routes of b, as one if they are many.
func (t *tree) routesOf(b *branch) (routes []router.Route) {
	if b.explicit && len(b.routes) > maxSeparate {
		r := t.newRoute(b.target, b.name, b.routes[0])
		r.Prefixes = b.routes[1:]
		return []router.Route{r}
	}
	for _, p := range b.routes {
		r := t.newRoute(b.target, b.name, p)
		r.Derived = !b.explicit
		routes = append(routes, r)
	}
	return routes
}

// branches returns the branches of all targets, in the order of the profile.
func (t *tree) branches() (all []*branch) {
	for _, x := range t.targets {
		all = append(all, x.branches...)
	}
	return all
}

// derive makes routes of the AllowedIPs that all hops of b have, each once,
// whichever hop names them.
func (b *branch) derive() (left []LeftOut) {
	seen := make(map[netip.Prefix]bool)
	for _, h := range b.hops {
		for _, p := range allowedIPs(h) {
			switch {
			case !b.allows(p):
				left = append(left, LeftOut{p, h.Name, "not every hop of " + b.name + " has it"})
			case !seen[p]:
				seen[p] = true
				b.routes = append(b.routes, p)
			}
		}
	}
	return left
}

// leaveOut removes the derived routes of b that belong to another branch.
func (b *branch) leaveOut(all []*branch) (left []LeftOut) {
	var inner, outer []*branch
	for _, c := range all {
		switch {
		case b.carries(c):
			inner = append(inner, c)
		case c.carries(b) && c.explicit:
			outer = append(outer, c)
		}
	}
	slices.SortStableFunc(inner, func(x, y *branch) int { return x.depth - y.depth })
	b.routes = slices.DeleteFunc(slices.Clone(b.routes), func(p netip.Prefix) bool {
		why := claimed(p, inner)
		for _, c := range outer {
			if why == "" && hasPrefix(c.routes, p) {
				why = "Routes of " + c.name + ", further out, have it"
			}
		}
		if why != "" {
			left = append(left, LeftOut{p, b.name, why})
		}
		return why != ""
	})
	return left
}

// claimed says which of the branches further in, outermost first, claims p. "":
// none does.
func claimed(p netip.Prefix, inner []*branch) string {
	for _, c := range slices.Backward(inner) {
		switch q, ok := c.claim.set.cover(p); {
		case ok && q == p:
			return c.name + ", further in, has it too"
		case ok:
			return fmt.Sprintf("inside %s of %s, which is further in", q, c.name)
		}
	}
	for _, c := range slices.Backward(inner) {
		if c.claim.defaults != "" {
			return fmt.Sprintf("%s, further in, has the default of %s, so no hop outside it gets routes",
				c.name, c.claim.defaults)
		}
	}
	return ""
}

// conflict fails if two branches have the same route, or two that do not carry
// each other the same default.
func (t *tree) conflict(all []*branch) error {
	sorted := make([][]netip.Prefix, len(all))
	for i, b := range all {
		sorted[i] = b.routes
		if !b.explicit {
			sorted[i] = sortPrefixes(slices.Clone(b.routes))
		}
	}
	for i, b := range all {
		for j, c := range all[:i] {
			what := ""
			if p, ok := common(sorted[i], sorted[j]); ok {
				what = p.String()
			} else if !b.explicit && !c.explicit && !b.carries(c) && !c.carries(b) {
				what = commonDefault(b.routes, c.routes)
			}
			if what == "" {
				continue
			}
			return b.target.members[0].spec.fail(t.path, "Routes",
				fmt.Errorf("%s is a route of %s and of %s: give one of them Routes without it (or none)", what, c.name, b.name))
		}
	}
	return nil
}

// common returns a prefix that both sorted lists have.
func common(a, b []netip.Prefix) (netip.Prefix, bool) {
	if len(a) > len(b) {
		a, b = b, a
	}
	for _, p := range a {
		if hasPrefix(b, p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// commonDefault names the families of which both have the default, or "".
func commonDefault(a, b []netip.Prefix) string {
	x, y := defaults(a), defaults(b)
	for _, family := range []string{"IPv4", "IPv6"} {
		if strings.Contains(x, family) && strings.Contains(y, family) {
			return "the default of " + family
		}
	}
	return ""
}

// allowedIPs returns the prefixes of all peers of h.
func allowedIPs(h router.Hop) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range h.Peers {
		all = append(all, p.AllowedIPs...)
	}
	return all
}
