package main

import (
	"errors"
	"fmt"
	"net/netip"

	"multihop/internal/host"
	"multihop/router"
)

// wgQuickOverhead is what wg-quick leaves for WireGuard's own headers: IPv6 40,
// UDP 8, WireGuard 32.
const wgQuickOverhead = 80

// An uplink is how the host reaches the endpoints of the hops on its network. It
// is not safe for concurrent use.
type uplink struct {
	tun     string // our own, which is no uplink
	routeTo func(netip.Addr) (host.Path, error)
	last    map[netip.Addr]host.Path
	mtus    map[netip.Addr]int // bytes: of the way, when there last was one
}

// mtu returns the MTU of the way to dst. While there is none, it is as it was.
func (u *uplink) mtu(dst netip.Addr) (int, error) {
	path, err := u.routeTo(dst)
	if err == nil && path.Interface == u.tun {
		err = fmt.Errorf("%s is reached through %s itself", dst, u.tun)
	}
	if err != nil {
		if mtu := u.mtus[dst]; mtu != 0 {
			return mtu, nil
		}
		return 0, err
	}
	if u.mtus == nil {
		u.mtus = make(map[netip.Addr]int)
	}
	u.mtus[dst] = path.MTU
	return path.MTU, nil
}

// deriveMTU gives each hop on the host's network whose file has no MTU the one
// that wg-quick would: that of the route to its endpoint, less 80; of several,
// the least; and bound at most, unless that is 0.
func (u *uplink) deriveMTU(cfg *router.Config, endpoints func(*router.Hop) []netip.AddrPort, bound int) (warnings []string) {
	for i := range cfg.Hops {
		h := &cfg.Hops[i]
		if h.Via != "" || h.MTU != 0 {
			continue
		}
		for _, ap := range endpoints(h) {
			path, err := u.mtu(ap.Addr())
			if err != nil {
				if !errors.Is(err, host.ErrUnsupported) {
					warnings = append(warnings, fmt.Sprintf("hop %s: its MTU is a guess: %v", h.Name, err))
				}
				continue
			}
			if mtu := path - wgQuickOverhead; h.MTU == 0 || mtu < h.MTU {
				h.MTU = mtu
			}
		}
		if bound != 0 && (h.MTU == 0 || h.MTU > bound) {
			h.MTU = bound
		}
	}
	return warnings
}

// changed reports whether the host now reaches one of the endpoints by another
// interface or from another address than it last did. It remembers what it saw;
// an endpoint that is new, or cannot be reached now, is no change.
func (u *uplink) changed(endpoints []netip.Addr) bool {
	if u.last == nil {
		u.last = make(map[netip.Addr]host.Path)
	}
	changed := false
	for _, e := range endpoints {
		path, err := u.routeTo(e)
		if err != nil || path.Interface == u.tun {
			continue
		}
		path.MTU = 0 // learned path MTUs come and go
		if before, known := u.last[e]; known && before != path {
			changed = true
		}
		u.last[e] = path
	}
	return changed
}

// rootEndpoints returns the endpoints, as last seen, of the hops on the host's
// network.
func rootEndpoints(s router.Status) []netip.AddrPort {
	var out []netip.AddrPort
	for _, h := range s.Hops {
		if h.Via != "" {
			continue
		}
		for _, p := range h.Peers {
			if ap, err := netip.ParseAddrPort(p.Endpoint); err == nil {
				out = append(out, ap)
			}
		}
	}
	return out
}

// addrsOf returns the addresses of endpoints.
func addrsOf(endpoints []netip.AddrPort) []netip.Addr {
	out := make([]netip.Addr, len(endpoints))
	for i, e := range endpoints {
		out[i] = e.Addr()
	}
	return out
}
