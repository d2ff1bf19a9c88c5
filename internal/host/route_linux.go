package host

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Protocol marks the routes and rules that are ours: "ip route show proto 109".
// No routing daemon claims this number (/etc/iproute2/rt_protos).
const Protocol = 109

// Metrics. The lower wins, and for IPv6 0 would mean 1024.
const (
	// Routes into the TUN come before the 256 that the kernel gives to an IPv6
	// prefix of an interface.
	ipv4Metric = 0
	ipv6Metric = 1
	// Guards in a table of our own come last.
	lastMetric = 4278198272
	// Guards in a table that is also somebody else's come right after our routes,
	// before other routes for the same prefix, which would else take its packets
	// when the TUN vanishes. Each instance adds its slot.
	guardMetric = 2
)

// A routeKind is what a route does with a packet.
type routeKind uint8

const (
	intoTUN     routeKind = iota
	unreachable           // answers with an error
	throw                 // goes on with the next rule, as if the table had no route
)

// A route is one route of ours. There may be millions, so it has no more than it
// needs.
type route struct {
	network
	kind   routeKind
	mtu    uint32 // bytes; 0: the TUN's
	metric uint32
	table  uint32
}

// compareRoutes orders routes by what makes them one and the same to the kernel.
func compareRoutes(a, b route) int {
	if c := cmp.Compare(a.table, b.table); c != 0 {
		return c
	}
	if c := a.compare(&b.network); c != 0 {
		return c
	}
	return cmp.Compare(a.metric, b.metric)
}

// sortRoutes sorts routes; of several with one key it keeps the first.
func sortRoutes(routes []route) []route {
	slices.SortStableFunc(routes, compareRoutes)
	return slices.CompactFunc(routes, func(a, b route) bool { return compareRoutes(a, b) == 0 })
}

// findRoute looks up the route with r's key.
func findRoute(sorted []route, r route) (*route, bool) {
	i, ok := slices.BinarySearchFunc(sorted, r, compareRoutes)
	if !ok {
		return nil, false
	}
	return &sorted[i], true
}

// findPrefix looks up the route to p with the least metric.
func findPrefix(sorted []route, table uint32, p netip.Prefix) (*route, bool) {
	i, _ := slices.BinarySearchFunc(sorted, route{network: networkOf(p), table: table}, compareRoutes)
	if i == len(sorted) || sorted[i].prefix() != p || sorted[i].table != table {
		return nil, false
	}
	return &sorted[i], true
}

func (r route) same(o route) bool {
	return compareRoutes(r, o) == 0 && r.mtu == o.mtu && r.kind == o.kind
}

// diffRoutes returns the steps from one sorted list to another: what is new or
// different, and what is gone, last first. They refer to the lists.
func diffRoutes(have, want []route) (do, gone []step) {
	if len(have) == 0 {
		do = make([]step, 0, len(want))
	}
	if len(want) == 0 {
		gone = make([]step, 0, len(have))
	}
	i, j := 0, 0
	for i < len(have) || j < len(want) {
		c := 0
		switch {
		case i == len(have):
			c = 1
		case j == len(want):
			c = -1
		default:
			c = compareRoutes(have[i], want[j])
		}
		switch {
		case c < 0:
			gone = append(gone, step{old: &have[i]})
			i++
		case c > 0:
			do = append(do, step{new: &want[j]})
			j++
		default:
			if !have[i].same(want[j]) {
				do = append(do, step{&have[i], &want[j]})
			}
			i, j = i+1, j+1
		}
	}
	slices.Reverse(gone)
	return do, gone
}

func (r *route) key() string { return fmt.Sprint("route ", r.table, r.prefix(), r.metric) }

func (r *route) after(*kernel, change) (change, error) { return r, nil }

func (r *route) do(k *kernel, old change) error { return k.changeRoutes([]step{{old, r}})[0] }

func (r *route) undo(k *kernel) error { return k.changeRoutes([]step{{old: r}})[0] }

func (r *route) holds(k *kernel) (bool, error) { return k.hasRoute(*r) }

func (r *route) lines(tun string, old change) []string {
	if old != nil {
		return []string{r.line(tun, "replace")}
	}
	return []string{r.line(tun, "add")}
}

func (r *route) undoLines(tun string) []string { return []string{r.line(tun, "del")} }

func (r *route) line(tun, verb string) string {
	s := ip(r.prefix().Addr()) + " route " + verb + " "
	switch r.kind {
	case unreachable:
		s += "unreachable " + r.prefix().String()
	case throw:
		s += "throw " + r.prefix().String()
	default:
		s += r.prefix().String() + " dev " + tun
	}
	s += fmt.Sprintf(" proto %d", Protocol)
	if r.table != unix.RT_TABLE_MAIN {
		s += fmt.Sprintf(" table %d", r.table)
	}
	if r.metric != 0 {
		s += fmt.Sprintf(" metric %d", r.metric)
	}
	if r.mtu != 0 {
		s += fmt.Sprintf(" mtu %d", r.mtu)
	}
	return s
}

// ip returns the command that is about addresses like a.
func ip(a netip.Addr) string {
	if a.Is4() {
		return "ip -4"
	}
	return "ip -6"
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
