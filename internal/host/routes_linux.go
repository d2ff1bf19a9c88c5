package host

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// hostRoutes returns, in the form of "ip route", the routes of the table main
// for exactly one of the prefixes.
func (a *Applied) hostRoutes(wanted []Route) (map[netip.Prefix][]string, error) {
	found := make(map[netip.Prefix][]string)
	for _, w := range wanted {
		found[w.Prefix] = nil
	}
	for _, family := range []struct {
		number      int
		unspecified netip.Addr
	}{
		{netlink.FAMILY_V4, netip.IPv4Unspecified()},
		{netlink.FAMILY_V6, netip.IPv6Unspecified()},
	} {
		routes, err := a.netlink.RouteList(nil, family.number)
		if err != nil {
			return nil, fmt.Errorf("list of routes: %w", err)
		}
		for _, r := range routes {
			dst := destination(r, family.unspecified)
			if list, ok := found[dst]; ok && r.Family == family.number {
				found[dst] = append(list, a.describe(r, dst))
			}
		}
	}
	return found, nil
}

// destination returns the prefix of a route; unspecified is that of a default
// route, which may have none.
func destination(r netlink.Route, unspecified netip.Addr) netip.Prefix {
	if r.Dst == nil {
		return netip.PrefixFrom(unspecified, 0)
	}
	addr, _ := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	if unspecified.Is4() {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits)
}

func (a *Applied) describe(r netlink.Route, dst netip.Prefix) string {
	s := dst.String()
	via := func(gw net.IP, index int) {
		if gw != nil {
			s += " via " + gw.String()
		}
		if l, err := a.netlink.LinkByIndex(index); err == nil {
			s += " dev " + l.Attrs().Name
		}
	}
	via(r.Gw, r.LinkIndex)
	for _, hop := range r.MultiPath {
		via(hop.Gw, hop.LinkIndex)
	}
	return fmt.Sprintf("%s metric %d", s, r.Priority)
}
