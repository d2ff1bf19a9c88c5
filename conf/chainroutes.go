package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"multihop/router"
)

// A claim is what a hop's AllowedIPs keep from the hops outside it.
type claim struct {
	hop      string
	set      prefixSet
	defaults string // families, "" for none
}

// routeByFiles gives each hop its AllowedIPs as routes, but for what a hop
// further in claims.
func (c *Chained) routeByFiles() {
	hops := c.Config.Hops
	claims := make([]claim, len(hops))
	for i, h := range hops {
		all := allowedIPs(h)
		claims[i] = claim{h.Name, merge(all), defaults(all)}
	}
	for i, h := range hops {
		for _, p := range allowedIPs(h) {
			if why := leftOut(p, claims[i+1:]); why != "" {
				c.LeftOut = append(c.LeftOut, LeftOut{p, h.Name, why})
				continue
			}
			c.Config.Routes = append(c.Config.Routes, router.Route{Prefix: p, Hop: h.Name, Derived: true})
		}
	}
}

// leftOut says why p gives no route beside the claims of the hops further in,
// outermost first. "": it gives one.
func leftOut(p netip.Prefix, inner []claim) string {
	for i := len(inner) - 1; i >= 0; i-- {
		q, ok := inner[i].set.cover(p)
		switch {
		case ok && q == p:
			return inner[i].hop + ", further in, has it too"
		case ok:
			return fmt.Sprintf("inside %s of %s, which is further in", q, inner[i].hop)
		}
	}
	for i := len(inner) - 1; i >= 0; i-- {
		if inner[i].defaults != "" {
			return fmt.Sprintf("%s, further in, has the default of %s, so no hop outside it gets routes",
				inner[i].hop, inner[i].defaults)
		}
	}
	return ""
}

// routeByFlags makes the flags the only routes.
func (c *Chained) routeByFlags(flags []RouteFlag) error {
	hops := c.Config.Hops
	names := make([]string, len(hops))
	for i, h := range hops {
		names[i] = h.Name
		for _, p := range allowedIPs(h) {
			c.LeftOut = append(c.LeftOut, LeftOut{p, h.Name, "--route replaces the routes of every file"})
		}
	}
	given := make(map[netip.Prefix]string)
	for _, f := range flags {
		hop := f.Hop
		if hop == "" {
			hop = names[len(names)-1]
		}
		if !slices.Contains(names, hop) {
			return fmt.Errorf("--route %s: no hop is named %q: there are %s (outermost first)", f, hop, strings.Join(names, ", "))
		}
		prefix := f.Prefix.Masked()
		if other, ok := given[prefix]; ok {
			if other == hop {
				continue
			}
			return fmt.Errorf("--route %s: this prefix was given to %s already: keep one", f, other)
		}
		given[prefix] = hop
		c.Config.Routes = append(c.Config.Routes, router.Route{Prefix: prefix, Hop: hop})
	}
	return nil
}

// allowedIPs returns the prefixes of all peers of h.
func allowedIPs(h router.Hop) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range h.Peers {
		all = append(all, p.AllowedIPs...)
	}
	return all
}
