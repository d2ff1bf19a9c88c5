package router

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"multihop/nat"
	"multihop/packet"
)

// A table is an immutable snapshot of the routes and of what each hop needs to
// translate. Readers load it once per batch, after the read that brought the
// batch; writers build the next one and swap. It serves both directions:
// outbound it names the hop, inbound a packet's source must lead back to the
// hop that it came through.
type table struct {
	lpm     bart.Fast[*view]
	views   map[*hop]*view
	order   []*hop              // carriers first
	own     map[netip.Addr]bool // the TUN's addresses and those of all hops
	tun4    netip.Addr
	tun6    netip.Addr
	roots   []*hop
	rejects *view // of routes that name no hop
	addrs   []netip.Addr
	mtu     int
}

// A view is what the table's readers know of a hop: translation between the
// TUN's addresses and the hop's. Immutable.
type view struct {
	hop *hop // nil: its packets are rejected

	to4, to6     *nat.Rewrite // TUN to hop; nil: no address of that family
	from4, from6 *nat.Rewrite // hop to TUN

	endpoints map[netip.Addr]bool // configured, of the hops that it carries
}

// newTable builds the table of a plan and its hops, carriers first.
func newTable(p *Plan, hops []*hop) (*table, error) {
	t := &table{
		views:   make(map[*hop]*view, len(hops)),
		own:     make(map[netip.Addr]bool),
		order:   hops,
		rejects: &view{},
		addrs:   p.Addrs,
		mtu:     p.MTU,
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
		if h.cfg.MTU < minMTUIPv6 { // it cannot carry IPv6: RFC 8200, section 5
			v.to6, v.from6 = nil, nil
		}
		for _, a := range h.cfg.Addrs {
			t.own[a] = true
		}
		t.views[h] = v
		byName[h.name] = v
		if h.via == nil {
			t.roots = append(t.roots, h)
		}
	}
	for _, h := range hops {
		if h.via != nil {
			v := t.views[h.via]
			for _, e := range h.endpoints {
				if v.endpoints == nil {
					v.endpoints = make(map[netip.Addr]bool)
				}
				v.endpoints[e.Addr()] = true
			}
		}
	}
	for _, route := range p.cfg.Routes {
		v := t.rejects
		if route.Hop != "" {
			v = byName[route.Hop]
		}
		t.lpm.Insert(route.Prefix, v)
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

func (t *table) lookup(a netip.Addr) (*view, bool) { return t.lpm.Lookup(a) }

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
	if v.hop == nil || dst != v.hop.addr(dst) {
		return nil
	}
	if dst.Is4() {
		return v.from4
	}
	return v.from6
}

// moved returns the hops of the old table from which the new one takes
// addresses: only those need their waiting packets looked at again. Where a
// prefix is split, merged or hidden by longer ones, it may name a hop too many.
func (t *table) moved(next *table) map[*hop]bool {
	lost := make(map[*hop]bool)
	check := func(p netip.Prefix) {
		_, was, ok := t.lpm.LookupPrefixLPM(p)
		if !ok || was.hop == nil {
			return
		}
		if _, is, ok := next.lpm.LookupPrefixLPM(p); !ok || is.hop != was.hop {
			lost[was.hop] = true
		}
	}
	for p, v := range t.lpm.All() {
		if is, ok := next.lpm.Get(p); !ok || is.hop != v.hop {
			check(p)
		}
	}
	for p, v := range next.lpm.All() {
		if was, ok := t.lpm.Get(p); !ok || was.hop != v.hop {
			check(p)
		}
	}
	return lost
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
