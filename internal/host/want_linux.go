package host

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"multihop/internal/firewall"
	"multihop/internal/resolv"
)

// want derives the state of c, which is complete (see choose). It changes
// nothing.
func (h *Host) want(c *Config) (*state, error) {
	l, err := h.layout(c)
	if err != nil {
		return nil, err
	}
	if (l.policy || l.kill) && c.Mark == 0 {
		return nil, errors.New("a default route or kill switch without a mark on the sockets: see Choose")
	}
	a, err := h.around(c, l)
	if err != nil {
		return nil, err
	}
	h.withoutIPv6(c, l, a.v6)
	s := &state{around: a}
	if h.netns != "" && (h.missing || h.journal.index((&namespace{}).key()) >= 0) {
		s.early = append(s.early, &namespace{h.netns})
	}
	w := h.wall(c, l, a)
	if w != nil {
		s.early = append(s.early, w)
	}
	if err := h.settings(s, c, l, a.v6, w != nil); err != nil {
		return nil, err
	}
	if l.off {
		return s, nil
	}
	h.routes(s, c, l, &a.view, a.v6)
	if !l.policy { // whose table is our own
		if err := h.k.conflicts(s, l, h.place(l)); err != nil {
			return nil, err
		}
	}
	h.rules(s, c, l, a.v6)
	if len(c.DNS.Servers) > 0 && h.netns == "" {
		s.late = append(s.late, &dns{resolv.Record{Settings: resolv.Settings{
			Link: c.Name, Servers: c.DNS.Servers, Search: c.DNS.Search,
			Default: l.v4 || l.v6 || len(c.DNS.Search) == 0,
		}}})
	}
	return s, nil
}

// settings adds the link, its addresses, and the settings of the kernel.
func (h *Host) settings(s *state, c *Config, l layout, v6 ipv6, wall bool) error {
	sysctl4 := func(conf, key, value string) {
		s.early = append(s.early, &sysctl{Path: "net/ipv4/conf/" + conf + "/" + key, Value: value})
	}
	if l.policy {
		sysctl4("all", "src_valid_mark", "1")
	}
	if wall && c.address(false).IsValid() {
		// The firewall does not see ARP: who asks another interface for the TUN's
		// address is not to be answered. A stricter setting stays.
		value, err := h.k.readSysctl("net/ipv4/conf/all/arp_ignore")
		if err != nil {
			return err
		}
		if value == "0" {
			value = "1"
		}
		sysctl4("all", "arp_ignore", value)
	}
	s.early = append(s.early, &linkMTU{MTU: c.MTU})
	if !l.off {
		sysctl4(c.Name, "rp_filter", "2") // errors come from routers outside of the routed prefixes
	}
	if v6.off == "" {
		// No link-local address of the kernel's own: IN6_ADDR_GEN_MODE_NONE.
		s.early = append(s.early, &sysctl{Path: "net/ipv6/conf/" + c.Name + "/addr_gen_mode", Value: "1"})
	}
	for _, a := range c.Addrs {
		if a.Is4() || v6.off == "" {
			s.early = append(s.early, &address{a})
		}
	}
	s.early = append(s.early, &linkUp{})
	return nil
}

// wall returns the firewall's table; nil: none.
func (h *Host) wall(c *Config, l layout, a *around) *wall {
	if h.netns != "" || l.off && !l.kill {
		return nil
	}
	w := &wall{firewall.Config{
		Table:      wallTable(c.Name),
		TUN:        c.Name,
		Mark:       c.Mark,
		Tunnel:     sortedAddrs(slices.Concat(c.Tunnel, c.Addrs)),
		KillSwitch: l.kill,
		TUNs:       a.tuns,
	}}
	if l.kill {
		w.Endpoints = sortedEndpoints(c.Endpoints)
		w.Resolvers = sortedAddrs(c.Resolvers)
		w.Others = a.others
		w.LAN = a.view.lan
		w.Exclude = slices.Clone(c.Exclude)
		if l.v4 && !l.v6 && c.IPv6Direct {
			w.Exclude = append(w.Exclude, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
		}
		slices.SortFunc(w.Exclude, comparePrefixes)
		w.Exclude = slices.Compact(w.Exclude)
	}
	return w
}

// routes adds the routes of c and their place.
func (h *Host) routes(s *state, c *Config, l layout, v *view, v6 ipv6) {
	p := h.place(l)
	add := func(prefix netip.Prefix, kind routeKind) {
		s.guards = append(s.guards, route{network: networkOf(prefix), metric: p.Guard, table: p.Table, kind: kind})
	}
	s.guards, s.tuns = make([]route, 0, c.size()), make([]route, 0, c.size())
	var numbers ways
	excluded := func(p netip.Prefix) bool { return l.policy && slices.Contains(c.Exclude, p) }
	for prefix, r := range c.prefixes() {
		six := prefix.Addr().Is6()
		if excluded(prefix) || six && v6.none {
			continue
		}
		add(prefix, unreachable) // which needs no IPv6 on the TUN
		if r.Reject || six && v6.off != "" {
			continue
		}
		metric := uint32(ipv4Metric)
		if six {
			metric = ipv6Metric
		}
		s.tuns = append(s.tuns, route{network: networkOf(prefix), mtu: numbers.number(r), metric: metric, table: p.Table})
	}
	if l.policy {
		if l.v4 && !l.v6 && !c.IPv6Direct && !v6.none {
			add(netip.PrefixFrom(netip.IPv6Unspecified(), 0), unreachable)
		}
		for _, t := range h.outside(c, v) {
			if t.Addr().Is4() || !v6.none {
				add(t, throw)
			}
		}
	}
	s.guards, s.tuns = sortRoutes(s.guards), sortRoutes(s.tuns)
	if l.policy {
		s.guards, s.tuns = withoutRepeats(s.guards, s.tuns)
	}
	numbers.setMTUs(s.tuns)
	if len(s.guards) > 0 {
		s.early = append(s.early, p)
	}
}

// place returns where the routes are.
func (h *Host) place(l layout) *place {
	if l.policy {
		return &place{Table: l.table, Own: true, Guard: lastMetric}
	}
	return &place{Table: l.table, Guard: uint32(guardMetric + h.journal.Slot)}
}

// rules adds what sends packets to our table: our own datagrams never, everything
// else always.
func (h *Host) rules(s *state, c *Config, l layout, v6 ipv6) {
	if !l.policy {
		return
	}
	first := priority(h.journal.Slot)
	for _, six := range []bool{false, true} {
		used := slices.ContainsFunc(s.guards, func(r route) bool { return r.six == six && r.kind != throw })
		if !used || six && v6.none {
			continue
		}
		s.late = append(s.late,
			&rule{V6: six, Priority: first, Mark: c.Mark, Table: unix.RT_TABLE_MAIN},
			&rule{V6: six, Priority: first + 1, Mark: c.Mark, Not: true, Table: l.table})
	}
}

func sortedAddrs(addrs []netip.Addr) []netip.Addr {
	out := slices.Clone(addrs)
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

func sortedEndpoints(endpoints []netip.AddrPort) []netip.AddrPort {
	out := make([]netip.AddrPort, len(endpoints))
	for i, e := range endpoints {
		out[i] = netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// address returns the address of the TUN of that family; the zero Addr if it
// has none.
func (c *Config) address(v6 bool) netip.Addr {
	for _, a := range c.Addrs {
		if a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}
