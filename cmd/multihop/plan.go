package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"multihop/conf"
	"multihop/router"
)

// writePlan prints what goes where. A TUN without a name is a planned one.
func writePlan(w io.Writer, tun string, plan *router.Plan, leftOut []conf.LeftOut) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "TUN %s: %s, MTU %d\n\n", tun, orNone(join(plan.Addrs)), plan.MTU)
	writeHops(t, plan.Hops)
	writeGroups(t, plan.Groups)
	writeRoutes(t, plan.Routes)
	if len(leftOut) > 0 {
		fmt.Fprintln(t, "\nLEFT OUT OF\tPREFIXES\tWHY")
		for _, g := range groupLeftOut(leftOut) {
			fmt.Fprintf(t, "%s\t%s\t%s\n", g.hop, g.list(), g.why)
		}
	}
	return t.Flush()
}

func writeHops(w io.Writer, hops []router.PlanHop) {
	fmt.Fprintln(w, "HOP\tCARRIER\tADDRESSES\tMTU\tENDPOINT")
	for _, h := range hops {
		via := h.Via
		if via == "" {
			via = hostNetwork
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", h.Name, via, orNone(join(h.Addrs)), h.MTU, orLearned(h.Endpoints))
		if h.Fragments > 1 {
			fmt.Fprintf(w, "\t\t\t\t%s\n", fragmentCost(h.Fragments, h.Via))
		}
	}
}

// writeGroups prints the groups, if there are any, with their hops in order of
// preference.
func writeGroups(w io.Writer, groups []router.Group) {
	if len(groups) == 0 {
		return
	}
	fmt.Fprintln(w, "\nGROUP\tHOPS\tPROBE\tQUIET\tPATIENCE\tRETURN")
	for _, g := range groups {
		probe := "handshake"
		if g.Probe.IsValid() {
			probe += ", ping " + g.Probe.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%v\t%v\n", g.Name, strings.Join(g.Hops, ", "), probe, g.Quiet, g.Patience, g.Return)
	}
}

// writeRoutes prints the routes, and what becomes of their packets while their hop
// is down where that is not always a rejection.
func writeRoutes(w io.Writer, routes []router.PlanRoute) {
	onDown := slices.ContainsFunc(routes, func(r router.PlanRoute) bool { return r.OnDown != router.Reject })
	fmt.Fprint(w, "\nROUTE\tHOPS\tMTU")
	if onDown {
		fmt.Fprint(w, "\tON DOWN")
	}
	fmt.Fprintln(w)
	for _, r := range routes {
		what := r.Prefix.String()
		if n := len(r.Prefixes); n > 0 {
			if r.Prefix.IsValid() {
				n++
			}
			what = fmt.Sprintf("%d prefixes", n)
		}
		if r.Reject != "" {
			fmt.Fprintf(w, "%s\trejected: %s\t-", what, r.Reject)
		} else {
			fmt.Fprintf(w, "%s\t%s\t%d", what, strings.Join(r.Path, " > "), r.MTU)
		}
		if onDown {
			fmt.Fprintf(w, "\t%s", cmp.Or(r.Fallback, r.OnDown.String()))
		}
		fmt.Fprintln(w)
	}
	if len(routes) == 0 {
		fmt.Fprintln(w, "none")
	}
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
