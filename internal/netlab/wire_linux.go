package netlab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Wire joins two hosts by a veth pair, with the interface aDev on a and bDev
// on b, both up.
func (l *Lab) Wire(a *Host, aDev string, b *Host, bDev string) {
	l.tb.Helper()
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: aDev},
		PeerName:      bDev,
		PeerNamespace: netlink.NsFd(b.ns),
	}
	if err := a.nl.LinkAdd(veth); err != nil {
		l.tb.Fatalf("netlab: wire %s/%s - %s/%s: %v", a.Name, aDev, b.Name, bDev, err)
	}
	a.Up(aDev)
	b.Up(bDev)
}

// Bridge makes the switch dev on h out of the interfaces ports.
func (h *Host) Bridge(dev string, ports ...string) {
	h.lab.tb.Helper()
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: dev}}
	err := h.nl.LinkAdd(br)
	for _, p := range ports {
		if err == nil {
			err = h.nl.LinkSetMaster(h.link(p), br)
		}
	}
	if err != nil {
		h.lab.tb.Fatalf("netlab: %s: bridge %s: %v", h.Name, dev, err)
	}
	h.Up(dev)
}

// Up sets the interface dev up.
func (h *Host) Up(dev string) {
	h.lab.tb.Helper()
	h.must("up "+dev, h.nl.LinkSetUp(h.link(dev)))
}

// Down sets the interface dev down.
func (h *Host) Down(dev string) {
	h.lab.tb.Helper()
	h.must("down "+dev, h.nl.LinkSetDown(h.link(dev)))
}

// SetMTU sets the MTU of the interface dev.
func (h *Host) SetMTU(dev string, mtu int) {
	h.lab.tb.Helper()
	h.must(fmt.Sprintf("mtu %s %d", dev, mtu), h.nl.LinkSetMTU(h.link(dev), mtu))
}

// Addr gives the interface dev addresses, each "address/length", usable at
// once.
func (h *Host) Addr(dev string, addrs ...string) {
	h.lab.tb.Helper()
	for _, s := range addrs {
		p, err := netip.ParsePrefix(s)
		if err == nil {
			err = h.addr(dev, p)
		}
		h.must("address "+s, err)
	}
}

func (h *Host) addr(dev string, p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(p.Addr(), p.Bits()))}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return h.nl.AddrAdd(h.link(dev), a)
}

// Via routes prefixes through the neighbour gw.
func (h *Host) Via(gw string, prefixes ...string) {
	h.lab.tb.Helper()
	for _, p := range prefixes {
		r := &netlink.Route{Gw: net.IP(netip.MustParseAddr(gw).AsSlice())}
		h.must("route "+p+" via "+gw, h.route(r, p))
	}
}

// ViaMTU is Via with a path MTU: what is larger than mtu bytes is fragmented or
// answered "too big", as if the link to gw were so narrow.
func (h *Host) ViaMTU(mtu int, gw string, prefixes ...string) {
	h.lab.tb.Helper()
	for _, p := range prefixes {
		r := &netlink.Route{Gw: net.IP(netip.MustParseAddr(gw).AsSlice()), MTU: mtu}
		h.must(fmt.Sprintf("route %s via %s mtu %d", p, gw, mtu), h.route(r, p))
	}
}

// Onto routes prefixes into the interface dev.
func (h *Host) Onto(dev string, prefixes ...string) {
	h.lab.tb.Helper()
	for _, p := range prefixes {
		r := &netlink.Route{LinkIndex: h.link(dev).Attrs().Index, Scope: netlink.SCOPE_LINK}
		h.must("route "+p+" dev "+dev, h.route(r, p))
	}
}

// Detour routes packets that carry the firewall mark through the neighbours
// gws, one per family, whatever the main table says.
func (h *Host) Detour(mark uint32, gws ...string) {
	h.lab.tb.Helper()
	const table = 1000
	for _, gw := range gws {
		addr := netip.MustParseAddr(gw)
		all, family := "0.0.0.0/0", netlink.FAMILY_V4
		if addr.Is6() {
			all, family = "::/0", netlink.FAMILY_V6
		}
		r := &netlink.Route{Gw: net.IP(addr.AsSlice()), Table: table}
		h.must("detour via "+gw, h.route(r, all))
		rule := netlink.NewRule()
		rule.Family, rule.Mark, rule.Table, rule.Priority = family, mark, table, table
		h.must("rule for detour via "+gw, h.nl.RuleAdd(rule))
	}
}

func (h *Host) route(r *netlink.Route, prefix string) error {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return err
	}
	r.Dst = ipNet(p)
	return h.nl.RouteReplace(r)
}

// HasLink reports whether the interface dev exists.
func (h *Host) HasLink(dev string) bool {
	_, err := h.nl.LinkByName(dev)
	return err == nil
}

func (h *Host) link(dev string) netlink.Link {
	h.lab.tb.Helper()
	l, err := h.nl.LinkByName(dev)
	h.must("interface "+dev, err)
	return l
}

func (h *Host) must(what string, err error) {
	h.lab.tb.Helper()
	if err != nil {
		h.lab.tb.Fatalf("netlab: %s: %s: %v", h.Name, what, err)
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
