package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// Apply makes plan the whole desired state. Hops that the plan does not change
// keep their devices and sessions; packets that waited for a hop which lost
// their route are dropped as stale. When Apply returns, no packet leaves by a
// route of the plan before: only then may addresses be taken from the host. A
// failed Apply changes nothing. Before Run the plan is stored, for Run to apply.
func (r *Router) Apply(ctx context.Context, plan *Plan) error {
	if plan == nil || plan.cfg == nil {
		return errors.New("router: no plan: Compile makes one")
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	r.applying.Lock()
	running := r.running
	if !running {
		r.pending = plan
	}
	r.applying.Unlock()
	switch {
	case r.isClosing():
		return net.ErrClosed
	case !running:
		return nil
	}
	return r.apply(ctx, plan)
}

// apply does it. The caller holds r.changing, so that looking names up, which
// may take long, holds up nothing but other calls of Apply; Close ends it.
func (r *Router) apply(ctx context.Context, plan *Plan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	endpoints, err := r.resolve(ctx, plan, r.table.Load())
	if r.isClosing() {
		return net.ErrClosed
	}
	if err != nil {
		return err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosing() {
		return net.ErrClosed
	}
	old := r.table.Load()
	hops, fresh := r.hopsOf(plan, endpoints, old)
	next, err := newTable(plan, hops)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	leaving := without(old.order, hops)

	undo := yieldPorts(leaving, fresh)
	if err := r.startAll(fresh); err != nil {
		undo()
		return err
	}

	r.table.Store(next)
	r.quiesce(old)
	if !r.unsettled {
		var lost []*hop
		for h := range old.moved(next) {
			if next.views[h] != nil {
				lost = append(lost, h)
			}
		}
		settle(lost)
	}
	for i := len(leaving) - 1; i >= 0; i-- {
		h := leaving[i]
		h.remove()
		if h.via != nil && next.views[h.via] != nil && !r.unsettled {
			h.settleCarriers(nil, time.Now().Add(drainWait))
		}
		r.bury(h)
	}
	for _, h := range fresh {
		r.announce(h)
	}
	r.kickSupervisor()
	return nil
}

// startAll starts hops, carriers first; all or none.
func (r *Router) startAll(fresh []*hop) error {
	r.starting.Store(&fresh)
	defer r.starting.Store(nil)
	for i, h := range fresh {
		if h.refresh(); h.isDown() {
			continue
		}
		if err := h.start(); err != nil {
			for ; i >= 0; i-- {
				fresh[i].remove()
			}
			return err
		}
	}
	return nil
}

// hopsOf returns the hops of a plan, carriers first: those of the old table
// that it does not change, and fresh ones, not started.
func (r *Router) hopsOf(plan *Plan, endpoints map[string][]netip.AddrPort, old *table) (hops, fresh []*hop) {
	byName := make(map[string]*hop, len(plan.Hops))
	for _, ph := range plan.Hops {
		cfg := plan.hop(ph.Name)
		via := byName[cfg.Via]
		h := old.hop(cfg.Name)
		if h == nil || !h.same(cfg, via, endpoints[cfg.Name]) {
			h = newHop(r, cfg, via, endpoints[cfg.Name])
			fresh = append(fresh, h)
		}
		byName[cfg.Name] = h
		hops = append(hops, h)
	}
	return hops, fresh
}

// yieldPorts frees the UDP ports of hops that leave where a fresh hop wants the
// same; undo takes them back.
func yieldPorts(leaving, fresh []*hop) (undo func()) {
	var freed []*hop
	for _, h := range leaving {
		for _, f := range fresh {
			if f.cfg.ListenPort != 0 && f.cfg.ListenPort == h.cfg.ListenPort && f.via == h.via {
				h.release()
				freed = append(freed, h)
				break
			}
		}
	}
	return func() {
		for _, h := range freed {
			if err := h.rebind(); err != nil {
				if p := h.port.Load(); p != nil {
					h.fail(p, err)
				}
			}
		}
	}
}

// without returns the hops of all that are not in keep, in order.
func without(all, keep []*hop) []*hop {
	kept := make(map[*hop]bool, len(keep))
	for _, h := range keep {
		kept[h] = true
	}
	var rest []*hop
	for _, h := range all {
		if !kept[h] {
			rest = append(rest, h)
		}
	}
	return rest
}

// quiesce returns when no batch is under way that began with the table before
// the current one.
func (r *Router) quiesce(old *table) {
	r.hurried.Store(true)
	for _, h := range old.order {
		if p := h.port.Load(); p != nil {
			p.in.Wake() // the TUN reader may wait for it
		}
	}
	r.routing.Lock()
	r.hurried.Store(r.isClosing())
	r.routing.Unlock()
	for _, h := range old.order {
		if p := h.port.Load(); p != nil {
			p.writes.Lock()
			p.writes.Unlock() //nolint:staticcheck // waiting for the readers is the purpose
		}
	}
}

// remove stops a hop for good, and the sockets inside its tunnel with it.
func (h *hop) remove() {
	h.mu.Lock()
	h.gone = true
	h.mu.Unlock()
	h.stop()
	h.socketMu.Lock() // behind any listen that saw the hop alive
	all := *h.sockets.Load()
	h.socketMu.Unlock()
	for _, s := range all {
		s.close()
	}
}

// bury keeps the counters of a removed hop, so that the totals still add up.
func (r *Router) bury(h *hop) {
	r.gone.Add(h.out.Load())
	for i := range h.drops {
		r.drops[i].Add(h.drops[i].Load())
	}
}

// resolve returns the addresses of every hop's peers, in order; an invalid one
// is learned. A hop that runs, and is not changed otherwise, keeps an address
// that its name still has, and the one that it has if the look-up fails.
func (r *Router) resolve(ctx context.Context, plan *Plan, old *table) (map[string][]netip.AddrPort, error) {
	all := make(map[string][]netip.AddrPort, len(plan.Hops))
	for _, ph := range plan.Hops {
		h := plan.hop(ph.Name)
		list := make([]netip.AddrPort, len(h.Peers))
		was := make([]netip.AddrPort, len(h.Peers))
		if o := old.hop(h.Name); o != nil && reflect.DeepEqual(o.cfg, h) {
			copy(was, o.endpoints)
		}
		for i, peer := range h.Peers {
			a, err := r.endpoint(ctx, plan, h, peer.Endpoint, was[i])
			if err != nil {
				return nil, &ConfigError{Hop: h.Name, Field: fmt.Sprintf("Peers[%d].Endpoint", i), Err: err}
			}
			if h.Via == "" && a.IsValid() && slices.ContainsFunc(list[:i], func(o netip.AddrPort) bool {
				return o.IsValid() && o.Addr().Is4() != a.Addr().Is4()
			}) {
				return nil, &ConfigError{Hop: h.Name, Field: fmt.Sprintf("Peers[%d].Endpoint", i), Err: errMixed}
			}
			list[i] = a
		}
		all[h.Name] = list
	}
	return all, nil
}

// endpoint resolves one endpoint, to an address that the hop's carrier reaches:
// to was, if it can.
func (r *Router) endpoint(ctx context.Context, plan *Plan, h Hop, endpoint string, was netip.AddrPort) (netip.AddrPort, error) {
	if endpoint == "" {
		return netip.AddrPort{}, nil
	}
	host, port, err := splitEndpoint(endpoint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	lookup := r.opts.Resolve
	if lookup == nil {
		lookup = func(ctx context.Context, _, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	addrs, err := lookup(ctx, h.Name, host)
	if err != nil {
		if was.IsValid() {
			r.log.Warn("an endpoint keeps its address", "hop", h.Name, "endpoint", was, "err", err)
			return was, nil
		}
		return netip.AddrPort{}, fmt.Errorf("looking up %s: %w", host, err)
	}
	if was.IsValid() && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == was.Addr() }) {
		return was, nil
	}
	for _, a := range addrs {
		if a = a.Unmap(); h.Via == "" || plan.reaches(h.Via, a) == nil {
			return netip.AddrPortFrom(a, port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s has no address that %s", host, reachable(h.Via))
}

func reachable(via string) string {
	if via == "" {
		return "can be used: the lookup found none"
	}
	return "hop " + via + " reaches: none is in its AllowedIPs and of a family that it has an address of"
}
