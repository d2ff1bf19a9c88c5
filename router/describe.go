package router

import (
	"fmt"
	"net/netip"
	"slices"
)

// An outlook is what the packets of a rule can expect, in one family.
type outlook struct {
	path   []string // outermost first, of the hops that are preferred
	mtu    int      // the smallest of those that may carry them
	reject string   // why they will be rejected
}

// describe fills in what the plan tells: routes, hops, groups, the TUN's MTU.
func (p *Plan) describe() {
	for i := range p.cfg.Hops {
		h := &p.cfg.Hops[i]
		ph := PlanHop{Name: h.Name, Via: h.Via, Addrs: h.Addrs, MTU: h.MTU, Down: h.Down}
		if h.Fragment {
			ph.Fragments = pieces(h.MTU, overhead(h.Peers), p.carrier(h).MTU)
		}
		for _, peer := range h.Peers {
			if peer.Endpoint != "" {
				ph.Endpoints = append(ph.Endpoints, peer.Endpoint)
			}
		}
		p.Hops = append(p.Hops, ph)
		p.MTU = max(p.MTU, h.MTU)
	}
	p.Groups = p.cfg.Groups
	type key struct {
		rule planRule
		is4  bool
	}
	outlooks := make(map[key]outlook)
	warned := make(map[string]bool)
	p.Routes = make([]PlanRoute, 0, len(p.cfg.Routes))
	for i := range p.cfg.Routes {
		for _, route := range byFamily(&p.cfg.Routes[i]) {
			like := route.first().Addr()
			k := key{planRule{route.Hop, route.Fallback, route.OnDown}, like.Is4()}
			f, ok := outlooks[k]
			if !ok {
				f = p.outlook(k.rule, like)
				outlooks[k] = f
			}
			if f.reject != "" && route.Hop != "" && !warned[f.reject] {
				warned[f.reject] = true
				p.warn("%s through %s will be rejected: %s", route.first(), p.nameTarget(route.Hop), f.reject)
			}
			p.Routes = append(p.Routes, PlanRoute{
				Prefix: route.Prefix, Prefixes: route.Prefixes, Hop: route.Hop, OnDown: route.OnDown, Fallback: route.Fallback, Path: f.path, MTU: f.mtu, Reject: f.reject,
			})
		}
	}
}

// byFamily splits a route whose prefixes are of both families in two.
func byFamily(r *Route) []*Route {
	is4 := r.first().Addr().Is4()
	if !slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() != is4 }) {
		return []*Route{r}
	}
	v4, v6 := *r, *r
	v4.Prefix, v4.Prefixes = netip.Prefix{}, nil
	v6.Prefix, v6.Prefixes = netip.Prefix{}, nil
	for p := range r.prefixes() {
		if p.Addr().Is4() {
			v4.Prefixes = append(v4.Prefixes, p)
		} else {
			v6.Prefixes = append(v6.Prefixes, p)
		}
	}
	return []*Route{&v4, &v6}
}

// outlook returns what the packets of a rule can expect that are of like's family.
func (p *Plan) outlook(rule planRule, like netip.Addr) outlook {
	if rule.target == "" {
		return outlook{mtu: p.MTU, reject: "its route says so"}
	}
	f := p.outlookOf(rule.target, like)
	if rule.onDown == Fallback {
		backup := p.outlookOf(rule.fallback, like)
		if p.isDown(rule.target) { // only that makes the data path use it
			backup.mtu = min(f.mtu, backup.mtu)
			return backup
		}
		f.mtu = min(f.mtu, backup.mtu)
	}
	return f
}

// outlookOf is that of the packets of one target.
func (p *Plan) outlookOf(target string, like netip.Addr) outlook {
	f := outlook{}
	for _, h := range p.members(target) {
		path, reject := p.path(h)
		if !hasFamily(p.Addrs, like) {
			reject = fmt.Sprintf("the TUN has no %s address", family(like))
		}
		if !hasFamily(h.Addrs, like) {
			reject = fmt.Sprintf("hop %s has no %s address", h.Name, family(like))
		}
		if !like.Is4() && h.MTU < minMTUIPv6 {
			reject = tooNarrow(h)
		}
		if f.path == nil || f.reject != "" && reject == "" { // the first that can
			f.path, f.reject = path, reject
		}
		if f.mtu == 0 || h.MTU < f.mtu {
			f.mtu = h.MTU
		}
	}
	return f
}

// path returns the hops that carry h, outermost first, and h; and why its
// packets will be rejected, if a hop on the way is taken down.
func (p *Plan) path(h *Hop) (path []string, reject string) {
	for {
		path = append([]string{h.Name}, path...)
		if h.Down {
			reject = fmt.Sprintf("hop %s is taken down", h.Name)
		}
		if h.Via == "" {
			return path, reject
		}
		h = p.preferred(h.Via)
	}
}

// preferred returns the first hop of a target that is not down; if all are, the
// first.
func (p *Plan) preferred(target string) *Hop {
	all, down := p.members(target), p.downHops()
	for _, h := range all {
		if !down[h.Name] {
			return h
		}
	}
	return all[0]
}

// isDown reports whether every hop of a target is taken down, or carried by one
// that is.
func (p *Plan) isDown(target string) bool { return p.hopIsDown(p.preferred(target)) }

func (p *Plan) hopIsDown(h *Hop) bool { return p.downHops()[h.Name] }

// downHops returns which hops are taken down, or carried by such. Each is looked at
// once, its carrier before it: from hop to carrier, groups of groups would be
// looked at again and again.
func (p *Plan) downHops() map[string]bool {
	down := make(map[string]bool, len(p.cfg.Hops))
	for i := range p.cfg.Hops {
		h := &p.cfg.Hops[i]
		down[h.Name] = h.Down || h.Via != "" && !slices.ContainsFunc(p.names(h.Via), func(name string) bool { return !down[name] })
	}
	return down
}

// names returns the names of a target's hops.
func (p *Plan) names(target string) []string {
	if g := p.findGroup(target); g != nil {
		return g.Hops
	}
	return []string{target}
}

func hasFamily(addrs []netip.Addr, like netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Is4() == like.Is4() })
}
