package router

import "net/netip"

// Origins of a route.
const (
	OriginAllowedIPs = "allowed_ips" // Route.Derived
	OriginRoutes     = "routes"      // asked for
)

// A RouteStatus is a route in force, and what becomes of its packets now. One of
// both families is two.
type RouteStatus struct {
	Prefix   netip.Prefix   `json:"prefix,omitzero"` // invalid: there are only Prefixes
	Prefixes []netip.Prefix `json:"-"`               // further ones, of a large set: do not change them
	Count    int            `json:"count"`           // of prefixes

	Rule     string `json:"rule,omitempty"`     // the hop or group that the route names; "": it rejects
	Group    bool   `json:"group,omitempty"`    // Rule is a group's name
	OnDown   string `json:"on_down"`            // reject, drop or fallback
	Fallback string `json:"fallback,omitempty"` // the hop or group for OnDown fallback
	Origin   string `json:"origin"`

	Hop    string   `json:"hop,omitempty"`    // that has its packets now: of the group, or the fallback's; "": none
	Path   []string `json:"path,omitempty"`   // of Hop: those that carry it, outermost (host's network) first, and itself
	MTU    int      `json:"mtu,omitempty"`    // of Hop, in bytes
	Drop   string   `json:"drop,omitempty"`   // the counter's name, if its packets are not sent
	Reason string   `json:"reason,omitempty"` // why they are not
}

// Routes returns the routes in force, sorted by family, then address, then
// length; nil before the first Apply has ended. It waits for one that is under
// way.
func (r *Router) Routes() []RouteStatus {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.current == nil {
		return nil
	}
	t := r.table.Load()
	rules := make(map[planRule]*rule, len(t.rules))
	for i := range t.rules {
		rules[*t.rules[i].plan] = &t.rules[i]
	}
	var all []RouteStatus
	for i := range r.current.cfg.Routes {
		for _, route := range byFamily(&r.current.cfg.Routes[i]) {
			all = append(all, t.routeStatus(route, rules[planRule{route.Hop, route.Fallback, route.OnDown}]))
		}
	}
	return all
}

func (t *table) routeStatus(route *Route, rule *rule) RouteStatus {
	s := RouteStatus{
		Prefix: route.Prefix, Prefixes: route.Prefixes, Count: len(route.Prefixes),
		Rule: route.Hop, Group: rule.to.group != nil,
		OnDown: route.OnDown.String(), Fallback: route.Fallback,
		Origin: OriginRoutes,
	}
	if route.Prefix.IsValid() {
		s.Count++
	}
	if route.Derived {
		s.Origin = OriginAllowedIPs
	}
	like := route.first().Addr()
	v := rule.pick()
	if v != nil {
		s.Hop, s.MTU = v.hop.name, v.hop.mtu()
		s.Path = v.hop.path()
	}
	if why := t.foresee(v, rule, like); why != delivered {
		if !t.tunAddr(like).IsValid() {
			v = nil // nor would another hop do
		}
		s.Drop, s.Reason = why.String(), explainDrop(v, &Explanation{Dst: like}, why)
	}
	return s
}

// foresee returns under which name every packet of a rule to like's family is
// dropped now, if they are.
func (t *table) foresee(v *view, rule *rule, like netip.Addr) reason {
	switch {
	case !t.tunAddr(like).IsValid():
		return dropFamily
	case v == nil:
		return dropRejected
	case v.hop.isDown() && rule.plan.onDown == Drop:
		return dropDownSilent
	case v.hop.isDown():
		return dropDown
	case v.outward(like) == nil:
		return dropFamily
	}
	return delivered
}

// path returns the names of the hops that carry h, outermost first, and its own.
func (h *hop) path() []string {
	if via := h.via(); via != nil {
		return append(via.path(), h.name)
	}
	return []string{h.name}
}
