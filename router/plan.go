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
	Warnings []string     // one line each

	cfg *Config // fmt redacts no Key in an unexported field: hence the pointer, and Format
}

// Format implements fmt.Formatter: it prints the exported fields, and no key.
func (p Plan) Format(f fmt.State, verb rune) {
	type plan Plan // without this method
	p.cfg = nil
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plan(p))
}

// A PlanRoute is one prefix and the way of its packets.
type PlanRoute struct {
	Prefix netip.Prefix
	Hop    string   // "": rejects
	Path   []string // hops, outermost (host's network) first
	MTU    int      // the hop's
	Reject string   // why its packets will be rejected; "": they are not
}

// A PlanHop is one hop as it will be started.
type PlanHop struct {
	Name      string
	Via       string
	Addrs     []netip.Addr
	MTU       int
	Endpoints []string // of its peers, in order; learned ones left out
	Down      bool
	Fragments int // packets of its carrier that a full one becomes, if its link fragments; else 0
}
