package main

import (
	"fmt"
	"net/netip"

	"multihop/router"
)

// A loop is a route that would send a tunnel's own datagrams into the TUN, were
// the routes in the table main.
type loop struct {
	prefix   netip.Prefix
	hop      string
	endpoint netip.Addr
}

func (l loop) String() string {
	return fmt.Sprintf("route %s covers %s, the endpoint of %s, which is on this host's network: its own packets would loop",
		l.prefix, l.endpoint, l.hop)
}

// loopAt finds a route of a plan that covers an endpoint of hop.
func loopAt(plan *router.Plan, hop string, endpoint netip.Addr) (loop, bool) {
	for _, r := range plan.Routes {
		for _, p := range prefixesOf(r) {
			if p.Contains(endpoint.Unmap()) {
				return loop{p, hop, endpoint}, true
			}
		}
	}
	return loop{}, false
}

// loops finds the routes of a plan that would loop.
func loops(plan *router.Plan) []loop {
	var out []loop
	for _, h := range plan.Hops {
		if h.Via != "" {
			continue
		}
		for _, e := range h.Endpoints {
			ap, err := netip.ParseAddrPort(e)
			if err != nil {
				continue
			}
			if l, ok := loopAt(plan, h.Name, ap.Addr()); ok {
				out = append(out, l)
			}
		}
	}
	return out
}
