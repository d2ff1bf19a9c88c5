package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosing() {
		return net.ErrClosed
	}
	if !r.running {
		r.pending = plan
		return nil
	}
	return r.apply(ctx, plan)
}

// apply does it. The caller holds r.applying.
func (r *Router) apply(ctx context.Context, plan *Plan) error {
	endpoints, err := r.resolve(ctx, plan)
	if err != nil {
		return err
	}
	old := r.table.Load()
	hops, fresh := r.hopsOf(plan, endpoints, old)
	next, err := newTable(plan, hops)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	leaving := without(old.order, hops)

	undo := yieldPorts(leaving, fresh)
	for i, h := range fresh {
		if h.refresh(nil); h.isDown() {
			continue
		}
		if err := h.start(); err != nil {
			for ; i >= 0; i-- {
				fresh[i].remove()
			}
			undo()
			return err
		}
	}

	r.table.Store(next)
	r.quiesce(old)
	for h := range old.moved(next) {
		if next.views[h] != nil && !r.unsettled {
			h.settle()
		}
	}
	for i := len(leaving) - 1; i >= 0; i-- {
		leaving[i].remove()
	}
	for _, h := range fresh {
		r.announce(h)
	}
	r.kickSupervisor()
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
			if f.cfg.ListenPort != 0 && f.cfg.ListenPort == h.cfg.ListenPort {
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

// settleWait bounds how long settle waits for a device that is busy sending.
const settleWait = 300 * time.Millisecond

// settle drops what waits in the hop, and is not its any more, after routes
// were taken from it. Packets in the ring are looked up again when the device
// reads them. Those that the device read while it had no session it would send
// after the next handshake, up to 90 s later: they are flushed, once it has
// returned to Read and so has staged all that it read.
func (h *hop) settle() {
	p := h.port.Load()
	if p == nil {
		return
	}
	if p.link != nil {
		p.link.hurry()
		defer p.link.resume()
	}
	p.generation.Add(1)
	if !p.readAgain(settleWait) && p.link == nil {
		// Its UDP socket blocks: a new one lets the device go on.
		if err := h.rebind(); err != nil {
			h.fail(p, err)
			return
		}
		p.readAgain(settleWait)
	}
	now := h.r.clock()
	for i := range p.out {
		if f := &p.out[i]; f.flush != nil {
			f.flush()
			f.empty(now)
		}
	}
}

// readAgain waits until the device is inside Read, in a call that began after
// all that it has read was handed on. It reports false if that took longer
// than d.
func (p *port) readAgain(d time.Duration) bool {
	p.reading.Lock()
	reads, parked := p.reads, p.parked
	p.reading.Unlock()
	if parked {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-p.again:
			p.reading.Lock()
			done := p.reads > reads
			p.reading.Unlock()
			if done {
				return true
			}
		case <-p.stop:
			return true
		case <-t.C:
			return false
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

// resolve returns the addresses of every hop's peers, in order; an invalid one
// is learned.
func (r *Router) resolve(ctx context.Context, plan *Plan) (map[string][]netip.AddrPort, error) {
	all := make(map[string][]netip.AddrPort, len(plan.Hops))
	for _, ph := range plan.Hops {
		h := plan.hop(ph.Name)
		list := make([]netip.AddrPort, len(h.Peers))
		for i, peer := range h.Peers {
			a, err := r.endpoint(ctx, plan, h, peer.Endpoint)
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

// endpoint resolves one endpoint, to an address that the hop's carrier reaches.
func (r *Router) endpoint(ctx context.Context, plan *Plan, h Hop, endpoint string) (netip.AddrPort, error) {
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
		return netip.AddrPort{}, fmt.Errorf("looking up %s: %w", host, err)
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
