package router

import (
	"fmt"
	"net/netip"
)

// A Plan is a validated Config: what the operating system must be told before
// and after Apply, and what a person should know. Compile makes it.
type Plan struct {
	Addrs    []netip.Addr // the TUN's, at most one per family
	MTU      int          // the TUN's: the largest hop MTU
	Routes   []PlanRoute  // sorted by family, then address, then length
	Hops     []PlanHop    // carriers first
	Groups   []Group      // with their pace: do not change them
	Warnings []string     // one line each

	lpm   *routeTable // of every prefix, to an index of rules
	rules []planRule
	asked map[string]int // the MTU that the configuration gave each hop
	cfg   *Config        // fmt redacts no Key in an unexported field: hence the pointer, and Format
}

// Format implements fmt.Formatter: it prints the exported fields, and no key.
func (p Plan) Format(f fmt.State, verb rune) {
	type plan Plan // without this method
	p.cfg, p.lpm = nil, nil
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plan(p))
}

// A PlanRoute is what a Route became: one prefix, or a set of one family, and
// the way of its packets.
type PlanRoute struct {
	Prefix   netip.Prefix   // invalid: there are only Prefixes
	Prefixes []netip.Prefix // further ones, as in the Route: do not change them
	Hop      string         // or group; "": rejects
	OnDown   Action         // while Hop is down
	Fallback string         // hop or group, for OnDown == Fallback
	Path     []string       // hops, outermost (host's network) first; of groups, the preferred ones
	MTU      int            // the smallest of the hops that may carry its packets
	Reject   string         // why its packets will be rejected; "": they are not
}

// A PlanHop is one hop as it will be started.
type PlanHop struct {
	Name      string
	Via       string // hop or group
	Addrs     []netip.Addr
	MTU       int
	Endpoints []string // of its peers, in order; learned ones left out
	Down      bool
	Fragments int // packets of its carrier that a full one becomes, if its link fragments; else 0
}
