package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"multihop/router"
)

// resolve fills in the instance's DNS: what the settings ask for, else, in a
// chain, the innermost file's. Each resolver gets a route through its hop.
func (t *tree) resolve(c *Instance) error {
	entries := c.Settings.DNS
	switch {
	case len(entries) > 0 && entries[0].Off:
		return nil
	case len(entries) > 0:
		for _, d := range entries {
			if err := t.resolveEntry(c, d); err != nil {
				return d.fail(t.path, err)
			}
		}
		return nil
	case t.path == "":
		t.resolveChain(c)
		return nil
	}
	return t.noteNoDNS(c)
}

// fail says where the entry stands.
func (d DNS) fail(profile string, err error) error {
	if d.Line == 0 {
		return fmt.Errorf("--dns %s: %w", d, err)
	}
	return &Error{File: profile, Line: d.Line, Section: "Interface", Key: "DNS", Err: err}
}

func (t *tree) resolveEntry(c *Instance, d DNS) error {
	if d.Addr.IsValid() {
		return t.resolveAddr(c, d)
	}
	if x := t.named[d.Name]; x != nil {
		return t.resolveHop(c, x)
	}
	if !strings.ContainsAny(d.Name, ".~") || !isName(strings.TrimPrefix(d.Name, "~")) {
		return fmt.Errorf("no hop is named %q%s (a search domain of one label ends in a dot)", d.Name, t.hint(d.Name))
	}
	c.Search = append(c.Search, d.Name)
	return nil
}

// resolveAddr adds one resolver: through the hop that d names, else the one
// whose routes have the address.
func (t *tree) resolveAddr(c *Instance, d DNS) error {
	if d.Via == "" {
		hop := routeOf(c.Config.Routes, d.Addr)
		if hop == "" {
			return fmt.Errorf("no route has %s: write %s via HOP", d.Addr, d.Addr)
		}
		c.addResolver(Resolver{d.Addr, hop})
		return nil
	}
	x := t.named[d.Via]
	if x == nil {
		return fmt.Errorf("no hop is named %q%s", d.Via, t.hint(d.Via))
	}
	b := x.branchOf(single(d.Addr))
	if why := b.unreachable(d.Addr); why != "" {
		return errors.New(why)
	}
	return c.reachResolver(Resolver{d.Addr, b.name}, t.newRoute(x, b.name, single(d.Addr)))
}

// resolveHop adds what the file of x says.
func (t *tree) resolveHop(c *Instance, x *target) error {
	for _, m := range x.members {
		in := &m.file.Interface
		if len(in.DNS) == 0 {
			continue
		}
		skipped, err := t.resolveFile(c, x, in)
		if err == nil && len(skipped) == len(in.DNS) {
			err = fmt.Errorf("none of the resolvers of %s can be used: %s", x.name, skipped[0])
		}
		return err
	}
	return fmt.Errorf("the file of %s says no resolver: write ADDRESS via %s", x.name, x.name)
}

// resolveChain adds what the innermost file says, as far as it can be used.
func (t *tree) resolveChain(c *Instance) {
	inner := t.targets[len(t.targets)-1]
	for _, m := range t.files() {
		f := m.file
		warn := func(text string) {
			c.Warnings = append(c.Warnings, Warning{File: f.Path, Line: f.lines["DNS"], Key: "DNS", Text: text})
		}
		if len(f.Interface.DNS)+len(f.Interface.Search) == 0 {
			continue
		}
		if f != inner.members[0].file {
			warn("ignored: in a chain only the last file's counts")
			continue
		}
		skipped, err := t.resolveFile(c, inner, &f.Interface)
		if err != nil {
			skipped = append(skipped, err.Error())
		}
		for _, why := range skipped {
			warn("ignored: " + why)
		}
	}
}

// resolveFile adds the resolvers of a file that x's hop reaches, and its search
// domains if there are some. It returns why others are left out.
func (t *tree) resolveFile(c *Instance, x *target, in *Interface) (skipped []string, err error) {
	for _, a := range in.DNS {
		if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			skipped = append(skipped, fmt.Sprintf("%s is not the address of a resolver behind a hop", a))
			continue
		}
		a = a.Unmap()
		b := x.branchOf(single(a))
		if why := b.unreachable(a); why != "" {
			skipped = append(skipped, why)
			continue
		}
		route := t.newRoute(x, b.name, single(a))
		route.Derived = true // a hop too narrow for it does without
		if err := c.reachResolver(Resolver{a, b.name}, route); err != nil {
			return skipped, err
		}
	}
	if len(skipped) < len(in.DNS) || len(in.DNS) == 0 {
		for _, s := range in.Search {
			if !slices.Contains(c.Search, s) {
				c.Search = append(c.Search, s)
			}
		}
	}
	return skipped, nil
}

// unreachable says why no hop of b reaches a. "": each does.
func (b *branch) unreachable(a netip.Addr) string {
	if !b.allows(single(a)) {
		return fmt.Sprintf("%s is outside the AllowedIPs of %s", a, b.name)
	}
	for _, h := range b.hops {
		if !slices.ContainsFunc(h.Addrs, func(own netip.Addr) bool { return own.Is4() == a.Is4() }) {
			return fmt.Sprintf("%s cannot be reached: %s has no address of its family", a, h.Name)
		}
	}
	return ""
}

// addResolver adds a resolver once.
func (c *Instance) addResolver(r Resolver) {
	if !slices.Contains(c.Resolvers, r) {
		c.Resolvers = append(c.Resolvers, r)
	}
}

// reachResolver adds a resolver, and a route to it unless it has one.
func (c *Instance) reachResolver(r Resolver, route router.Route) error {
	if routeOf(c.Config.Routes, r.Addr) != r.Hop {
		for _, other := range c.Config.Routes {
			if other.Prefix == route.Prefix || hasPrefix(other.Prefixes, route.Prefix) {
				return fmt.Errorf("%s is to be reached through %s, but is a route of %s", r.Addr, r.Hop, other.Hop)
			}
		}
		c.Config.Routes = append(c.Config.Routes, route)
	}
	c.addResolver(r)
	return nil
}

// noteNoDNS says that a profile without DNS sets none.
func (t *tree) noteNoDNS(c *Instance) error {
	for _, m := range t.members() {
		if len(m.file.Interface.DNS) > 0 {
			c.Warnings = append(c.Warnings, Warning{File: t.path, Key: "DNS",
				Text: fmt.Sprintf("none: the host keeps its own resolvers (DNS = %s would use those of %s)", m.name, m.file.Path)})
			return nil
		}
	}
	c.Warnings = append(c.Warnings, Warning{File: t.path, Key: "DNS", Text: "none: the host keeps its own resolvers"})
	return nil
}

// single returns the prefix of one address.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// routeOf returns the hop whose route has a, by the longest prefix; "": none.
func routeOf(routes []router.Route, a netip.Addr) (hop string) {
	bits := -1
	for _, r := range routes {
		if r.Prefix.Bits() > bits && r.Prefix.Contains(a) {
			hop, bits = r.Hop, r.Prefix.Bits()
		}
		if n := longest(r.Prefixes, a); n > bits {
			hop, bits = r.Hop, n
		}
	}
	return hop
}
