package netlab

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Own makes every address of the prefixes h's own: it answers for all of them,
// as the internet does.
func (h *Host) Own(prefixes ...string) {
	h.lab.tb.Helper()
	h.Sysctl("ipv6/ip_nonlocal_bind=1") // else a program cannot choose such a source
	for _, p := range prefixes {
		r := &netlink.Route{
			LinkIndex: h.link("lo").Attrs().Index, Scope: netlink.SCOPE_HOST,
			Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
		}
		h.must("own "+p, h.route(r, p))
	}
}

// RemoveAddr takes an address, "address/length", from the interface dev.
func (h *Host) RemoveAddr(dev, addr string) {
	h.lab.tb.Helper()
	p, err := netip.ParsePrefix(addr)
	h.must("address "+addr, err)
	h.must("remove address "+addr, h.nl.AddrDel(h.link(dev), &netlink.Addr{IPNet: ipNet(p)}))
}

// Unroute removes the route to prefix through the neighbour gw; "": whatever
// its way is.
func (h *Host) Unroute(prefix, gw string) {
	h.lab.tb.Helper()
	p, err := netip.ParsePrefix(prefix)
	h.must("route "+prefix, err)
	r := &netlink.Route{Dst: ipNet(p), Scope: netlink.SCOPE_NOWHERE} // any
	if gw != "" {
		r.Gw = net.IP(netip.MustParseAddr(gw).AsSlice())
	}
	h.must("remove route "+prefix, h.nl.RouteDel(r))
}
