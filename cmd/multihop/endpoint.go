package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"multihop/router"
)

// A resolver turns the names in endpoints into addresses, by the host's own
// means.
type resolver struct {
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	reaches func(netip.Addr) bool // the host has a route to it
}

// resolve replaces every name in an endpoint of cfg by one of its addresses: of
// a family that the carrier has and, if there is a choice, that its AllowedIPs
// cover; for a hop on the host's network, one that the host can reach. The
// warnings name the hops whose endpoint the network learned about.
func (r *resolver) resolve(ctx context.Context, cfg *router.Config) (warnings []string, err error) {
	for i := range cfg.Hops {
		h := &cfg.Hops[i]
		for j := range h.Peers {
			name, port, ok := endpointName(h.Peers[j].Endpoint)
			if !ok {
				continue
			}
			addrs, err := r.lookup(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("hop %s: endpoint %s: %w", h.Name, name, lookupCause(err))
			}
			addr, err := r.choose(addrs, carrier(cfg, h))
			if err != nil {
				return nil, fmt.Errorf("hop %s: endpoint %s: %w", h.Name, name, err)
			}
			h.Peers[j].Endpoint = net.JoinHostPort(addr.String(), port)
			if h.Via != "" {
				warnings = append(warnings, fmt.Sprintf("hop %s: its endpoint's name %s was asked of this host's resolver, outside the tunnel: an address in the file avoids that", h.Name, name))
			}
		}
	}
	return warnings, nil
}

// choose picks the address to use; via is nil for a hop on the host's network.
func (r *resolver) choose(addrs []netip.Addr, via *router.Hop) (netip.Addr, error) {
	if len(addrs) == 0 {
		return netip.Addr{}, fmt.Errorf("its name has no address")
	}
	if via == nil {
		for _, a := range addrs {
			if r.reaches(a.Unmap()) {
				return a.Unmap(), nil
			}
		}
		return addrs[0].Unmap(), nil // the network may come later
	}
	var usable netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		switch {
		case !hasFamily(via, a):
		case allows(via, a):
			return a, nil
		case !usable.IsValid():
			usable = a
		}
	}
	if !usable.IsValid() {
		return usable, fmt.Errorf("none of its addresses (%s) is of a family that its carrier %s has", join(addrs), via.Name)
	}
	return usable, nil
}

// endpointName splits an endpoint whose host is a name. It is not ok for an
// address, nor for an endpoint that is learned.
func endpointName(endpoint string) (name, port string, ok bool) {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", "", false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", "", false
	}
	return host, port, true
}

// carrier returns the hop that carries h; nil: the host's network does.
func carrier(cfg *router.Config, h *router.Hop) *router.Hop {
	for i := range cfg.Hops {
		if h.Via != "" && cfg.Hops[i].Name == h.Via {
			return &cfg.Hops[i]
		}
	}
	return nil
}

func hasFamily(h *router.Hop, a netip.Addr) bool {
	for _, own := range h.Addrs {
		if own.Is4() == a.Is4() {
			return true
		}
	}
	return false
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

// lookupCause drops the name, which a net.DNSError repeats, and its server.
func lookupCause(err error) error {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return fmt.Errorf("cannot look its name up: %s", dns.Err)
	}
	return fmt.Errorf("cannot look its name up: %w", err)
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
