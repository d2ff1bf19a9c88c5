package host

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"
)

// maxExtra bounds the endpoints that names and roaming add; the oldest go.
const maxExtra = 256

// SetRouteMTU changes the MTU of the routes of a hop into the TUN. Before Apply and
// after Close it does nothing. After an error some may have it and others not;
// calling it again is right.
func (h *Host) SetRouteMTU(hop string, mtu int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.config == nil {
		return nil
	}
	h.config.setMTU(hop, mtu)
	var steps []step
	places := h.journal.places()
	for p, r := range h.config.prefixes() {
		if r.Hop != hop || r.Reject {
			continue
		}
		for _, in := range places {
			if r, ok := findPrefix(h.routed.tuns, in.Table, p); ok && r.mtu != uint32(mtu) {
				next := *r
				next.mtu = uint32(mtu)
				steps = append(steps, step{r, &next})
			}
		}
	}
	var errs []error
	for len(steps) > 0 {
		n := ahead(steps)
		failed := h.takeBatch(steps[:n])
		for i, s := range steps[:n] {
			if err := failed[i]; err == nil {
				*s.old.(*route) = *s.new.(*route)
			} else if len(errs) < maxErrors {
				errs = append(errs, fmt.Errorf("MTU %d: %w", mtu, err))
			}
		}
		steps = steps[n:]
	}
	return h.wrap(errors.Join(errs...))
}

func (c *Config) setMTU(hop string, mtu int) {
	for i := range c.Routes {
		if r := &c.Routes[i]; r.Hop == hop {
			r.MTU = mtu
		}
	}
}

// SetEndpoints has the kill switch let out our own datagrams to further
// endpoints, besides those of the Config, until the next Apply: a name's new
// addresses before they are tried, and where an authenticated peer has roamed to.
func (h *Host) SetEndpoints(add []netip.AddrPort) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.config == nil {
		return nil
	}
	extra := slices.Clone(h.extra)
	for _, e := range add {
		if !slices.Contains(extra, e) {
			extra = append(extra, e)
		}
	}
	extra = extra[max(0, len(extra)-maxExtra):]
	c := *h.config
	c.Endpoints = sortedEndpoints(slices.Concat(c.Endpoints, extra))
	l, err := h.layout(h.config)
	if err != nil {
		return h.wrap(err)
	}
	if l.table == unix.RT_TABLE_MAIN && h.netns == "" && c.coversEndpoint() {
		return h.wrap(fmt.Errorf("a route into the TUN covers one of the endpoints %v: its own packets would loop", add))
	}
	if err := h.letOut(c.Endpoints); err != nil {
		return h.wrap(err)
	}
	h.extra = extra
	h.tell(h.config)
	return h.wrap(h.announce())
}

// letOut makes endpoints those of the kill switch, if there is one.
func (h *Host) letOut(endpoints []netip.AddrPort) error {
	i := h.journal.index((&wall{}).key())
	if i < 0 {
		return nil
	}
	old := h.journal.Changes[i].(*wall)
	if !old.KillSwitch || slices.Equal(endpoints, old.Endpoints) {
		return nil
	}
	next := *old
	next.Endpoints = endpoints
	err := h.k.try("set endpoints", func() error {
		return h.k.outer.do(func() error { return h.k.wall.SetEndpoints(endpoints) })
	})
	if err != nil {
		return err
	}
	return h.journal.put(&next)
}

// announce tells the other instances, by the journal, what our own datagrams are
// now.
func (h *Host) announce() error {
	j := h.journal
	before := *j
	j.announce(h.config.Mark, slices.Concat(h.config.Endpoints, h.extra), h.config.Resolvers)
	if reflect.DeepEqual(before, *j) {
		return nil
	}
	return j.write()
}

// Status returns what h has chosen and done. It never waits.
func (h *Host) Status() Status {
	if s := h.status.Load(); s != nil {
		return *s
	}
	return Status{}
}

// tell publishes the Status.
func (h *Host) tell(c *Config) {
	s := &Status{Mark: c.Mark, DNS: slices.Clone(c.DNS.Servers)}
	for _, x := range h.journal.Changes {
		switch x := x.(type) {
		case *wall:
			s.KillSwitch = x.KillSwitch
			s.Endpoints = slices.Clone(x.Endpoints)
		case *place:
			s.Table = x.Table
		case *rule:
			s.Priority = priority(h.journal.Slot)
		}
	}
	for _, r := range h.routed.guards {
		if r.kind == throw {
			s.Outside = append(s.Outside, r.prefix())
		}
	}
	h.status.Store(s)
}
