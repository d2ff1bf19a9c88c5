package router

import (
	"net/netip"

	"multihop/nat"
	"multihop/packet"
)

// A table is an immutable snapshot of the routes and of what each hop needs to
// translate. Readers load it once per batch, after the read that brought the
// batch; writers build the next one and swap. It serves both directions:
// outbound it names the hop, inbound a packet's source must lead back to the
// hop that it came through.
type table struct {
	id     uint64      // one more than that of the table before; not 0
	lpm    *routeTable // to an index of rules, of this very table
	rules  []rule
	views  map[*hop]*view
	order  []*hop              // carriers first
	own    map[netip.Addr]bool // the TUN's addresses and those of all hops
	tun4   netip.Addr
	tun6   netip.Addr
	roots  []*hop
	groups []*group
	addrs  []netip.Addr
	mtu    int
}

// A view is what the table's readers know of a hop: translation between the
// TUN's addresses and the hop's. Immutable.
type view struct {
	hop *hop

	to4, to6     *nat.Rewrite // TUN to hop; nil: no address of that family
	from4, from6 *nat.Rewrite // hop to TUN
}

// A rule is what the prefixes of one target have in common. Immutable, but for
// what its groups choose.
type rule struct {
	only   *view // the hop of a rule that has no choice; nil: it has one, or rejects
	plan   *planRule
	to     target
	backup target // of OnDown == Fallback
}

// A target is a hop or a group.
type target struct {
	view  *view  // nil: a group's
	group *group // nil: a hop's; both nil: none, packets are rejected
}

// now returns the hop that serves; nil: the target rejects.
func (t *target) now() *view {
	if t.group != nil {
		return t.group.active.Load()
	}
	return t.view
}

// pick returns the hop that the rule gives packets to now; nil: it rejects. A hop
// that is down rejects by itself, or as the rule's OnDown says.
func (r *rule) pick() *view {
	if r.only != nil {
		return r.only
	}
	return r.choose()
}

func (r *rule) choose() *view {
	v := r.to.now()
	if v != nil && r.plan.onDown == Fallback && v.hop.isDown() {
		if b := r.backup.now(); !b.hop.isDown() {
			return b
		}
	}
	return v
}

// newTable builds the table of a plan and its hops, carriers first. Of its
// groups, those that the table before has too keep their active hop and state.
func newTable(p *Plan, hops []*hop, before *table) (*table, error) {
	t := &table{
		id:    1,
		lpm:   p.lpm,
		views: make(map[*hop]*view, len(hops)),
		own:   make(map[netip.Addr]bool),
		order: hops,
		addrs: p.Addrs,
		mtu:   p.MTU,
	}
	if before != nil {
		t.id = before.id + 1
	}
	byName := make(map[string]*view, len(hops))
	for _, a := range p.Addrs {
		t.own[a] = true
		if a.Is4() {
			t.tun4 = a
		} else {
			t.tun6 = a
		}
	}
	for _, h := range hops {
		v := &view{hop: h}
		var err error
		if v.to4, v.from4, err = rewrites(t.tun4, h.addr4); err != nil {
			return nil, err
		}
		if v.to6, v.from6, err = rewrites(t.tun6, h.addr6); err != nil {
			return nil, err
		}
		cfg := p.hop(h.name)
		if cfg.MTU < minMTUIPv6 { // it cannot carry IPv6: RFC 8200, section 5
			v.to6, v.from6 = nil, nil
		}
		for _, a := range []netip.Addr{h.addr4, h.addr6} {
			if a.IsValid() {
				t.own[a] = true
			}
		}
		t.views[h] = v
		byName[h.name] = v
		if !h.inner {
			t.roots = append(t.roots, h)
		}
	}
	targets := make(map[string]target, len(hops)+len(p.cfg.Groups))
	for name, v := range byName {
		targets[name] = target{view: v}
	}
	for i := range p.cfg.Groups {
		g := newGroup(p, &p.cfg.Groups[i], byName, before)
		t.groups = append(t.groups, g)
		targets[g.cfg.Name] = target{group: g}
	}
	for i := range p.rules {
		r := &p.rules[i]
		rule := rule{plan: r, to: targets[r.target], backup: targets[r.fallback]}
		if r.onDown != Fallback {
			rule.only = rule.to.view
		}
		t.rules = append(t.rules, rule)
	}
	return t, nil
}

// rewrites returns the translations between the TUN's address and a hop's.
func rewrites(tun, hop netip.Addr) (to, from *nat.Rewrite, err error) {
	if !tun.IsValid() || !hop.IsValid() {
		return nil, nil, nil
	}
	out, err := nat.NewRewrite(tun, hop)
	if err != nil {
		return nil, nil, err
	}
	in, err := nat.NewRewrite(hop, tun)
	if err != nil {
		return nil, nil, err
	}
	return &out, &in, nil
}

// tunAddr returns the TUN's address of like's family; invalid: none.
func (t *table) tunAddr(like netip.Addr) netip.Addr {
	if like.Is4() {
		return t.tun4
	}
	return t.tun6
}

// follow returns the rule of packets to a, nil where no prefix covers it.
func (t *table) follow(a netip.Addr) *rule {
	if i, ok := t.lpm.Lookup(a); ok {
		return &t.rules[i]
	}
	return nil
}

// lookup returns the hop that packets to a go to now, and accepts packets from;
// nil: they are rejected. The rule is nil where no prefix covers a.
func (t *table) lookup(a netip.Addr) (*view, *rule) {
	r := t.follow(a)
	if r == nil {
		return nil, nil
	}
	return r.pick(), r
}

// owns reports whether packets to a go to hop h now.
func (t *table) owns(h *hop, a netip.Addr) bool {
	v, _ := t.lookup(a)
	return v != nil && v.hop == h
}

// outward returns the translation of packets to dst, from the TUN's address to
// the hop's; nil if the hop has no address of that family.
func (v *view) outward(dst netip.Addr) *nat.Rewrite {
	if dst.Is4() {
		return v.to4
	}
	return v.to6
}

// inward returns the translation of packets for dst; nil unless dst is exactly
// this hop's address.
func (v *view) inward(dst netip.Addr) *nat.Rewrite {
	if dst != v.hop.addr(dst) {
		return nil
	}
	if dst.Is4() {
		return v.from4
	}
	return v.from6
}

// verdict gives the drops of packages packet and nat their counters.
func verdict(v packet.Verdict) reason {
	switch v {
	case packet.OK:
		return delivered
	case packet.SourceRoute:
		return dropSourceRoute
	case packet.Extension:
		return dropExtension
	case packet.ShortFragment:
		return dropShortFragment
	case packet.AH:
		return dropAH
	case packet.Quote:
		return dropQuote
	default:
		return dropMalformed
	}
}

// setSource replaces the source of an ICMP error.
func setSource(pkt []byte, m *packet.Meta, a netip.Addr) { nat.SetSource(pkt, m, a) }
