package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Protocol marks the routes that are ours: "ip route show proto 109". No
// routing daemon claims this number (/etc/iproute2/rt_protos).
const Protocol netlink.RouteProtocol = 109

// ipv6Metric comes before the 256 that the kernel gives to a prefix of an
// interface. A lower metric wins, and for IPv6 0 would mean 1024.
const ipv6Metric = 1

// gsoMaxSegs is the number of packets that wireguard's TUN reads at once.
const gsoMaxSegs = 128

// addrGenNone is IN6_ADDR_GEN_MODE_NONE: no link-local address of the kernel's
// own.
const addrGenNone = 1

// Applied is what Configure did.
type Applied struct {
	// Warnings are for the user, one line each.
	Warnings []string

	netlink *netlink.Handle // in the network namespace of Configure
	link    netlink.Link
	up      bool
	addrs   []*netlink.Addr

	mu     sync.Mutex
	routes []*netlink.Route
	closed bool

	once sync.Once
	err  error // of the first Close
}

// Configure gives the TUN its addresses, MTU and routes and brings it up. If it
// fails it undoes what it did. It acts on the network namespace of the calling
// thread.
func Configure(c Config) (_ *Applied, err error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("host: netlink: %w", err)
	}
	a := &Applied{netlink: h}
	defer func() {
		if err != nil {
			err = fmt.Errorf("host: %s: %w", c.Name, errors.Join(err, a.Close()))
		}
	}()
	link, err := h.LinkByName(c.Name)
	if err != nil {
		return nil, err
	}
	// wireguard's TUN cuts a super-packet into at most one batch. Kernels that do
	// not know the setting refuse it, and lose nothing that they had.
	_ = h.LinkSetGSOMaxSegs(link, gsoMaxSegs)
	if err := h.LinkSetMTU(link, c.MTU); err != nil {
		return nil, fmt.Errorf("MTU %d: %w", c.MTU, err)
	}
	noIPv6, err := a.prepareIPv6(link, &c)
	if err != nil {
		return nil, err
	}
	a.link = link
	for _, addr := range c.Addrs {
		if addr.Is6() && noIPv6 != "" {
			continue
		}
		if err := a.addAddr(addr); err != nil {
			return nil, err
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("up: %w", err)
	}
	a.up = true
	theirs, err := a.hostRoutes(c.Routes)
	if err != nil {
		return nil, err
	}
	for _, r := range c.Routes {
		if r.Prefix.Addr().Is6() && noIPv6 != "" {
			continue
		}
		if err := a.addRoute(r, c.address(r.Prefix.Addr().Is6())); err != nil {
			return nil, err
		}
		for _, t := range theirs[r.Prefix] {
			a.Warnings = append(a.Warnings, fmt.Sprintf("route %s takes the place of this host's own, %s, until the end", r.Prefix, t))
		}
	}
	return a, nil
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

func (a *Applied) addAddr(addr netip.Addr) error {
	n := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, addr.BitLen()))}
	if addr.Is6() {
		n.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE // usable at once; no route of its own
	}
	if err := a.netlink.AddrAdd(a.link, n); err != nil {
		return fmt.Errorf("address %s: %w", addr, err)
	}
	a.addrs = append(a.addrs, n)
	return nil
}

func (a *Applied) addRoute(r Route, src netip.Addr) error {
	n := &netlink.Route{
		LinkIndex: a.link.Attrs().Index,
		Dst:       ipNet(r.Prefix),
		Protocol:  Protocol,
		Scope:     netlink.SCOPE_LINK,
		MTU:       r.MTU,
	}
	if r.Prefix.Addr().Is6() {
		n.Scope = netlink.SCOPE_UNIVERSE // IPv6 routes have no other
		n.Priority = ipv6Metric
	}
	if src.IsValid() {
		n.Src = src.AsSlice()
	}
	err := a.netlink.RouteAdd(n) // exclusive: fails where one is
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("route %s: this host has another route for exactly that prefix and metric: remove it first: %w", r.Prefix, err)
	}
	if err != nil {
		return fmt.Errorf("route %s: %w", r.Prefix, err)
	}
	a.routes = append(a.routes, n)
	return nil
}

// SetRouteMTU changes the MTU of a route that Configure added; a prefix for which
// it added none is left alone, and so is everything after Close.
func (a *Applied) SetRouteMTU(p netip.Prefix, mtu int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	want := ipNet(p).String()
	for _, n := range a.routes {
		if n.Dst.String() != want || n.MTU == mtu {
			continue
		}
		next := *n
		next.MTU = mtu
		if err := a.netlink.RouteReplace(&next); err != nil {
			return fmt.Errorf("host: route %s: MTU %d: %w", p, mtu, err)
		}
		*n = next
	}
	return nil
}

// Close undoes Configure, last step first. A TUN that has vanished, and what
// somebody else removed, is no error. It is idempotent.
func (a *Applied) Close() error {
	a.once.Do(func() { a.err = a.undo() })
	return a.err
}

func (a *Applied) undo() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	defer a.netlink.Close()
	var errs []error
	note := func(err error, what string) {
		if err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("remove %s: %w", what, err))
		}
	}
	for i := len(a.routes) - 1; i >= 0; i-- {
		note(a.netlink.RouteDel(a.routes[i]), "route "+a.routes[i].Dst.String())
	}
	if a.up {
		note(a.netlink.LinkSetDown(a.link), "link state")
	}
	for i := len(a.addrs) - 1; i >= 0; i-- {
		note(a.netlink.AddrDel(a.link, a.addrs[i]), "address "+a.addrs[i].IP.String())
	}
	return errors.Join(errs...)
}

// gone reports whether err means that what is to be removed is not there.
func gone(err error) bool {
	for _, e := range []error{unix.ENODEV, unix.ESRCH, unix.EADDRNOTAVAIL, unix.ENOENT, unix.ENXIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
