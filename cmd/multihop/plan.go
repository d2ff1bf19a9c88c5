package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"multihop/conf"
	"multihop/router"
)

// writePlan prints what goes where. A TUN without a name is a planned one.
func writePlan(w io.Writer, tun string, plan *router.Plan, leftOut []conf.LeftOut) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "TUN %s: %s, MTU %d\n\n", tun, orNone(join(plan.Addrs)), plan.MTU)
	fmt.Fprintln(t, "HOP\tCARRIER\tADDRESSES\tMTU\tENDPOINT")
	for _, h := range plan.Hops {
		via := h.Via
		if via == "" {
			via = hostNetwork
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", h.Name, via, orNone(join(h.Addrs)), h.MTU, orLearned(h.Endpoints))
		if h.Fragments > 1 {
			fmt.Fprintf(t, "\t\t\t\t%s\n", fragmentCost(h.Fragments, h.Via))
		}
	}
	fmt.Fprintln(t, "\nROUTE\tHOPS\tMTU")
	for _, r := range plan.Routes {
		what := r.Prefix.String()
		if len(r.Prefixes) > 0 {
			what = fmt.Sprintf("%d prefixes", len(r.Prefixes))
		}
		if r.Reject != "" {
			fmt.Fprintf(t, "%s\trejected: %s\t-\n", what, r.Reject)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%d\n", what, strings.Join(r.Path, " > "), r.MTU)
	}
	if len(plan.Routes) == 0 {
		fmt.Fprintln(t, "none")
	}
	if len(leftOut) > 0 {
		fmt.Fprintln(t, "\nLEFT OUT OF\tPREFIXES\tWHY")
		for _, g := range groupLeftOut(leftOut) {
			fmt.Fprintf(t, "%s\t%s\t%s\n", g.hop, g.list(), g.why)
		}
	}
	return t.Flush()
}

// fragmentCost says what it costs that a hop's link fragments.
func fragmentCost(n int, carrier string) string {
	return fmt.Sprintf("a full packet travels in %d fragments inside %s", n, carrier)
}

// A leftOutGroup is what is left out of one hop for one reason.
type leftOutGroup struct {
	hop, why string
	prefixes []netip.Prefix
}

// groupLeftOut gathers neighbours: files that list everything but the private
// ranges have dozens of prefixes.
func groupLeftOut(leftOut []conf.LeftOut) []leftOutGroup {
	var groups []leftOutGroup
	for _, l := range leftOut {
		if n := len(groups); n == 0 || groups[n-1].hop != l.Hop || groups[n-1].why != l.Why {
			groups = append(groups, leftOutGroup{hop: l.Hop, why: l.Why})
		}
		g := &groups[len(groups)-1]
		g.prefixes = append(g.prefixes, l.Prefix)
	}
	return groups
}

// maxListed is how many prefixes of a group are listed.
const maxListed = 4

func (g *leftOutGroup) list() string {
	if more := len(g.prefixes) - maxListed; more > 1 {
		return fmt.Sprintf("%s and %d more", join(g.prefixes[:maxListed]), more)
	}
	return join(g.prefixes)
}

// writeWarnings prints one line each, and a blank one after them.
func writeWarnings(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	if len(warnings) > 0 {
		fmt.Fprintln(w)
	}
}

// hostNetwork stands where a hop has no carrier.
const hostNetwork = "host"

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func orLearned(endpoints []string) string {
	if len(endpoints) == 0 {
		return "(learned)"
	}
	return strings.Join(endpoints, ", ")
}
