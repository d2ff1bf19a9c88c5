package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
)

// minIPv6MTU is the least MTU of a link that carries IPv6 (RFC 8200, section 5):
// Linux takes IPv6 off a link with less.
const minIPv6MTU = 1280

// prepareIPv6 keeps the kernel from giving the link a link-local address, or
// says why the link has no IPv6. That is no error where it is only missing: the
// addresses and routes are left out, with a warning. It is one where the host's
// own IPv6 routes would then take packets that were to enter the tunnel.
func (a *Applied) prepareIPv6(link netlink.Link, c *Config) (off string, err error) {
	off, err = ipv6Off(c)
	if err != nil {
		return "", err
	}
	if off == "" {
		if err := a.netlink.LinkSetIP6AddrGenMode(link, addrGenNone); err != nil {
			return "", fmt.Errorf("no link-local address: %w", err)
		}
		return "", nil
	}
	if !c.wantsIPv6() {
		return off, nil
	}
	for _, r := range c.Routes {
		if !r.Prefix.Addr().Is6() {
			continue
		}
		other, err := a.overlapping(r.Prefix)
		if err != nil {
			return "", err
		}
		if other != "" {
			return "", fmt.Errorf("route %s: %s, so packets to it would leave in clear by the host's route %s", r.Prefix, off, other)
		}
	}
	a.Warnings = append(a.Warnings, off+": IPv6 addresses and routes are left out")
	return off, nil
}

// wantsIPv6 reports whether IPv6 matters at all.
func (c *Config) wantsIPv6() bool {
	if c.address(true).IsValid() {
		return true
	}
	for _, r := range c.Routes {
		if r.Prefix.Addr().Is6() {
			return true
		}
	}
	return false
}

// ipv6Off says why the link has no IPv6; "": it has.
func ipv6Off(c *Config) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", c.Name, "disable_ipv6"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.MTU < minIPv6MTU:
		return fmt.Sprintf("an MTU of %d is too small for IPv6 (%d)", c.MTU, minIPv6MTU), nil
	case errors.Is(err, fs.ErrNotExist):
		return "this host has no IPv6", nil
	case err != nil:
		return "", err
	case !bytes.Equal(bytes.TrimSpace(b), []byte("0")):
		return "IPv6 is disabled on this host (net.ipv6.conf.default.disable_ipv6)", nil
	}
	return "", nil
}

// overlapping returns a route of the host's own that takes some of p; "": none.
func (a *Applied) overlapping(p netip.Prefix) (string, error) {
	routes, err := a.netlink.RouteList(nil, netlink.FAMILY_V6)
	if err != nil {
		return "", fmt.Errorf("list of IPv6 routes: %w", err)
	}
	for _, r := range routes {
		dst := destination(r, netip.IPv6Unspecified())
		if dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsMulticast() || dst.Addr().IsLoopback() {
			continue
		}
		if dst.Overlaps(p) {
			return dst.String(), nil
		}
	}
	return "", nil
}
