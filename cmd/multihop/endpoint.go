package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"multihop/router"
)

// endpointName splits an endpoint whose host is a name. It is not ok for an
// address, nor for an endpoint that is learned.
func endpointName(endpoint string) (name string, port uint16, ok bool) {
	host, text, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", 0, false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil
}

// prefer sorts the addresses of an endpoint's name, the best first: for a hop on
// the host's network (via is nil) what the host reaches now; for a carried one
// what the carrier's AllowedIPs cover, and nothing of a family that it lacks.
func prefer(addrs []netip.Addr, via *router.Hop, reaches func(netip.Addr) bool) ([]netip.Addr, error) {
	good := reaches
	if via != nil {
		good = func(a netip.Addr) bool { return allows(via, a) }
	}
	var first, rest []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		switch {
		case via != nil && !hasFamily(via, a):
		case good(a):
			first = append(first, a)
		default:
			rest = append(rest, a) // the network may come later
		}
	}
	usable := append(first, rest...)
	if len(usable) == 0 && len(addrs) > 0 {
		return nil, fmt.Errorf("none of its addresses (%s) is of a family that its carrier %s has", join(addrs), via.Name)
	}
	return usable, nil
}

// hopNamed returns the hop of that name; nil: there is none.
func hopNamed(cfg *router.Config, name string) *router.Hop {
	i := slices.IndexFunc(cfg.Hops, func(h router.Hop) bool { return h.Name == name })
	if i < 0 {
		return nil
	}
	return &cfg.Hops[i]
}

func hasFamily(h *router.Hop, a netip.Addr) bool {
	return slices.ContainsFunc(h.Addrs, func(own netip.Addr) bool { return own.Is4() == a.Is4() })
}

func allows(h *router.Hop, a netip.Addr) bool {
	for _, p := range h.Peers {
		for _, prefix := range p.AllowedIPs {
			if prefix.Contains(a) {
				return true
			}
		}
	}
	return false
}

func join[T fmt.Stringer](list []T) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.String())
	}
	return b.String()
}
