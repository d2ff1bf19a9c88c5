package host

import (
	"fmt"
)

// conflicts looks for the host's own routes to exactly our prefixes, in the
// table where ours are to be. One that would come before ours, or has the very
// metric, is an error; one that ours come before is a warning.
func (k *kernel) conflicts(s *state, l layout, p *place) error {
	index, err := k.index()
	if err != nil && !gone(err) {
		return err
	}
	var found []hostRoute
	err = k.routes(l.table, func() { found = nil }, func(r *hostRoute) {
		if _, ok := findPrefix(s.guards, p.Table, r.prefix()); ok && !p.ours(r, index) {
			found = append(found, *r)
		}
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		prefix, theirs := r.prefix(), r.metric
		metric := uint32(ipv4Metric)
		if prefix.Addr().Is6() {
			metric = ipv6Metric
		}
		if _, into := findPrefix(s.tuns, p.Table, prefix); !into {
			metric = p.Guard
		}
		switch {
		case theirs == p.Guard || theirs <= metric:
			return fmt.Errorf("route %s: this host has another route for exactly that prefix: %s: remove it first", prefix, k.describe(&r))
		case theirs < p.Guard:
			k.warn("route %s takes the place of this host's own, %s; if this process is killed, that one takes the packets", prefix, k.describe(&r))
		default:
			k.warn("route %s takes the place of this host's own, %s, until the end", prefix, k.describe(&r))
		}
	}
	return nil
}

// describe returns a route in the form of "ip route".
func (k *kernel) describe(r *hostRoute) string {
	s := r.prefix().String()
	if r.gateway.IsValid() {
		s += " via " + r.gateway.String()
	}
	if l, err := k.nl.LinkByIndex(r.index); err == nil && r.index != 0 {
		s += " dev " + l.Attrs().Name
	}
	if r.far {
		s += " by several ways"
	}
	return fmt.Sprintf("%s metric %d", s, r.metric)
}
