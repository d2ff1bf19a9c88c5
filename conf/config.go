package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"multihop/router"
)

// config returns the hops with their routes: those of flags if there are any.
func (t *tree) config(flags []RouteFlag, fragment bool) (c router.Config, left []LeftOut, err error) {
	c.Hops, c.Groups = t.hops(), t.groups()
	for i := range c.Hops {
		c.Hops[i].Fragment = c.Hops[i].Fragment || fragment && c.Hops[i].Via != ""
	}
	if len(flags) > 0 {
		c.Routes, left, err = t.routeByFlags(flags)
	} else {
		c.Routes, left, err = t.route()
	}
	return c, left, err
}

// groups returns the groups in the order of the profile.
func (t *tree) groups() (groups []router.Group) {
	for _, x := range t.targets {
		if !x.group {
			continue
		}
		g := router.Group{Name: x.name, Probe: x.probe, Quiet: x.pace[0], Patience: x.pace[1], Return: x.pace[2]}
		for _, m := range x.members {
			g.Hops = append(g.Hops, m.name)
		}
		groups = append(groups, g)
	}
	return groups
}

// newRoute returns a route of x through a hop of it, which does as the profile
// says while that is down.
func (t *tree) newRoute(x *target, hop string, p netip.Prefix) router.Route {
	r := router.Route{Prefix: p, Hop: hop}
	switch x.onDown {
	case "", onDownReject:
	case onDownDrop:
		r.OnDown = router.Drop
	default:
		r.OnDown, r.Fallback = router.Fallback, t.named[x.onDown].branchOf(p).name
		if t.named[x.onDown].group {
			r.Fallback = x.onDown // or a member alone
		}
	}
	return r
}

// routeByFlags makes the flags the only routes.
func (t *tree) routeByFlags(flags []RouteFlag) (routes []router.Route, left []LeftOut, err error) {
	for _, b := range t.branches() {
		for _, h := range b.hops {
			for _, p := range allowedIPs(h) {
				left = append(left, LeftOut{p, h.Name, "--route replaces the routes of every file"})
			}
		}
	}
	given := make(map[netip.Prefix]string)
	for _, f := range flags {
		x, err := t.flagTarget(f)
		if err != nil {
			return nil, nil, err
		}
		prefix := f.Prefix.Masked()
		hop := x.branchOf(prefix).name
		if x.group && f.Hop != "" {
			hop = f.Hop // or a member alone
		}
		if other, ok := given[prefix]; ok {
			if other == hop {
				continue
			}
			return nil, nil, fmt.Errorf("--route %s: this prefix was given to %s already: keep one", f, other)
		}
		given[prefix] = hop
		routes = append(routes, t.newRoute(x, hop, prefix))
	}
	return routes, left, nil
}

// flagTarget returns the target that a flag names: the innermost if it names
// none.
func (t *tree) flagTarget(f RouteFlag) (*target, error) {
	if f.Hop != "" {
		if x := t.named[f.Hop]; x != nil {
			return x, nil
		}
		order := ""
		if t.path == "" {
			order = " (outermost first)"
		}
		return nil, fmt.Errorf("--route %s: no hop is named %q: there are %s%s", f, f.Hop, strings.Join(t.names(), ", "), order)
	}
	x, all := t.innermost()
	if x == nil {
		return nil, fmt.Errorf("--route %s: several hops are innermost: write HOP=%s, with HOP one of %s", f, f, listed(all))
	}
	return x, nil
}

// innermost returns the only target that carries no other; nil if there are
// several, and their names.
func (t *tree) innermost() (*target, []string) {
	var found *target
	var names []string
	for _, x := range t.targets {
		if !slices.ContainsFunc(t.branches(), func(b *branch) bool { return b.outer[x] }) {
			found, names = x, append(names, x.name)
		}
	}
	if len(names) > 1 {
		return nil, names
	}
	return found, names
}

// branchOf returns the branch whose AllowedIPs have p, else the first.
func (x *target) branchOf(p netip.Prefix) *branch {
	for _, b := range x.branches {
		if b.allows(p) {
			return b
		}
	}
	return x.branches[0]
}
