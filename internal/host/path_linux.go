package host

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteTo looks up how the host reaches dst now. The error wraps ErrNoRoute if
// it does not.
func RouteTo(dst netip.Addr) (Path, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return Path{}, fmt.Errorf("host: netlink: %w", err)
	}
	defer h.Close()
	routes, err := h.RouteGet(dst.Unmap().AsSlice())
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return Path{}, fmt.Errorf("host: %s: %w: %w", dst, ErrNoRoute, err)
	}
	if err != nil {
		return Path{}, fmt.Errorf("host: route to %s: %w", dst, err)
	}
	r := routes[0]
	link, err := h.LinkByIndex(r.LinkIndex)
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
