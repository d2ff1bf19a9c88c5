package conf

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"multihop/router"
)

// A branch is what routes are given to: a hop of the router, or a group of them.
type branch struct {
	name    string
	target  *target
	hops    []router.Hop
	depth   int              // 1: on the host's network
	outer   map[*target]bool // those that carry it, directly or not
	allowed []prefixSet      // AllowedIPs of each hop

	explicit bool           // routes are the profile's, not AllowedIPs
	routes   []netip.Prefix // of explicit ones sorted, each once
	claim    claim
}

// newBranch returns the branch of one hop.
func newBranch(x *target, h router.Hop, carrier *branch) *branch {
	b := &branch{
		name: h.Name, target: x, hops: []router.Hop{h}, depth: 1, outer: make(map[*target]bool),
		allowed: []prefixSet{merge(allowedIPs(h))},
	}
	if carrier != nil {
		b.depth = carrier.depth + 1
		maps.Copy(b.outer, carrier.outer)
		b.outer[carrier.target] = true
	}
	return b
}

// joinBranches makes one branch of those of a group's members.
func joinBranches(x *target) *branch {
	all := &branch{name: x.name, target: x, outer: make(map[*target]bool)}
	for _, b := range x.branches {
		all.hops = append(all.hops, b.hops...)
		all.allowed = append(all.allowed, b.allowed...)
		all.depth = max(all.depth, b.depth)
		maps.Copy(all.outer, b.outer)
	}
	return all
}

// carries reports whether b is a carrier of c, directly or not.
func (b *branch) carries(c *branch) bool { return c.outer[b.target] }

// placeMember makes the hops of m: one, unless its peers need different
// carriers.
func (t *tree) placeMember(x *target, m *member, carriers []*branch) ([]*branch, error) {
	h, err := m.file.hop(m.name, "")
	if err != nil {
		return nil, err
	}
	if mtu := m.spec.mtu(); mtu > 0 {
		h.MTU = mtu
	}
	h.Fragment = m.spec.fragment == Yes
	if h.Fragment && len(carriers) == 0 {
		return nil, m.spec.fail(t.path, "Fragment", errors.New("only a hop with Via has a link that could"))
	}
	if len(carriers) == 0 {
		m.hops = []router.Hop{h}
		return []*branch{newBranch(x, h, nil)}, nil
	}
	peers, err := t.choose(m, h.Peers, carriers)
	if err != nil {
		return nil, err
	}
	var branches []*branch
	for i, carrier := range carriers {
		if len(peers[i]) == 0 {
			continue
		}
		part := h
		part.Via, part.Peers = carrier.name, peers[i]
		if len(branches) > 0 {
			if x.group {
				return nil, m.spec.fail(t.path, "Via", errors.New("a hop of a group has one carrier"))
			}
			part.Name = t.unused(h.Name)
		}
		m.hops = append(m.hops, part)
		branches = append(branches, newBranch(x, part, carrier))
	}
	return branches, nil
}

// choose gives each peer to the carrier whose AllowedIPs have its endpoint, the
// longest prefix first. An endpoint that is a name, or learned, is the first
// carrier's.
func (t *tree) choose(m *member, peers []router.Peer, carriers []*branch) ([][]router.Peer, error) {
	chosen := make([][]router.Peer, len(carriers))
	if len(carriers) == 1 {
		chosen[0] = peers
		return chosen, nil
	}
	for _, p := range peers {
		best, bits := 0, -1
		if a, ok := endpointAddr(p.Endpoint); ok {
			for i, c := range carriers {
				if n := longest(allowedIPs(c.hops[0]), a); n > bits {
					best, bits = i, n
				}
			}
			if bits < 0 {
				return nil, m.spec.fail(t.path, "Via", fmt.Errorf("the endpoint %s is outside the AllowedIPs of %s", a, listed(m.spec.via)))
			}
		}
		chosen[best] = append(chosen[best], p)
	}
	return chosen, nil
}

// endpointAddr returns the address of host:port, unless it is a name.
func endpointAddr(endpoint string) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// longest returns the length of the longest of prefixes that has a; -1: none.
func longest(prefixes []netip.Prefix, a netip.Addr) int {
	bits := -1
	for _, p := range prefixes {
		if p.Contains(a) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// unused returns name with a suffix that no other name has, and takes it.
func (t *tree) unused(name string) string {
	for k := 2; ; k++ {
		suffix := "-" + strconv.Itoa(k)
		s := name[:min(len(name), maxName-len(suffix))] + suffix
		if !t.used[s] {
			t.used[s] = true
			return s
		}
	}
}

// mtu returns what the [Hop] itself says; 0: nothing.
func (h *hopSpec) mtu() int {
	if h.inline == nil {
		return 0
	}
	return h.inline.Interface.MTU
}

// allows reports whether every hop of b may send to all of p, as its
// AllowedIPs say.
func (b *branch) allows(p netip.Prefix) bool {
	return !slices.ContainsFunc(b.allowed, func(s prefixSet) bool {
		_, ok := s.cover(p)
		return !ok
	})
}

// listed joins names for a sentence: "a", "a and b", "a, b and c".
func listed(names []string) string {
	n := len(names) - 1
	if n < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:n], ", ") + " and " + names[n]
}
