package host

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteTo looks up how our own datagrams reach dst now: those with the mark that
// the last Apply was given, or before it that of Choose, from the host and not
// from Options.Netns. The error wraps ErrNoRoute if they do not.
func (h *Host) RouteTo(dst netip.Addr) (p Path, err error) {
	h.mu.Lock()
	mark, outer := h.journal.mark(), h.k.outer
	h.mu.Unlock()
	err = outer.do(func() error {
		nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("host: netlink: %w", err)
		}
		defer nl.Close()
		p, err = routeTo(nl, dst, mark)
		return err
	})
	return p, err
}

// routeTo looks up how a packet with a mark reaches dst.
func routeTo(nl *netlink.Handle, dst netip.Addr, mark uint32) (Path, error) {
	routes, err := nl.RouteGetWithOptions(dst.Unmap().AsSlice(), &netlink.RouteGetOptions{Mark: mark})
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if noRoute(err) {
		return Path{}, fmt.Errorf("host: %s: %w: %w", dst, ErrNoRoute, err)
	}
	if err != nil {
		return Path{}, fmt.Errorf("host: route to %s: %w", dst, err)
	}
	r := routes[0]
	link, err := nl.LinkByIndex(r.LinkIndex)
	if err != nil {
		return Path{}, fmt.Errorf("host: interface of the route to %s: %w", dst, err)
	}
	p := Path{Interface: link.Attrs().Name, MTU: r.MTU}
	if src, ok := netip.AddrFromSlice(r.Src); ok {
		p.Src = src.Unmap()
	}
	if p.MTU == 0 {
		p.MTU = link.Attrs().MTU
	}
	return p, nil
}

// noRoute reports whether err is the kernel's answer that there is no way.
func noRoute(err error) bool {
	for _, e := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Exists reports whether the TUN exists, or another interface of its name, in
// the TUN's network namespace, which it does not make.
func (h *Host) Exists() (found bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.begin(false); err != nil {
		return false, h.wrap(err)
	}
	defer h.leaveEmpty()
	_, err = h.k.link()
	if err != nil && !gone(err) {
		return false, h.wrap(err)
	}
	return err == nil, nil
}

// Exists reports whether the host has an interface of that name.
func Exists(name string) (bool, error) {
	_, err := netlink.LinkByName(name)
	if err == nil {
		return true, nil
	}
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return false, nil
	}
	return false, fmt.Errorf("host: %s: %w", name, err)
}
