package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Apply makes plan the whole desired state. Hops stay, with their devices and
// sessions, whatever changes but their tunnel addresses and, where that makes a
// new device and a handshake at once, their private key. Packets that waited for
// a hop which lost their route are dropped as stale. When Apply returns, no
// packet leaves by a route of the plan before: only then may addresses be taken
// from the host. It waits for no name to be looked up. A failed Apply changes
// nothing. Before Run the plan is stored, for Run to apply.
func (r *Router) Apply(_ context.Context, plan *Plan) error {
	if plan == nil || plan.cfg == nil {
		return errors.New("router: no plan: Compile makes one")
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	switch {
	case r.isClosing():
		return net.ErrClosed
	case !r.running:
		r.pending = plan
		return nil
	}
	return r.applyLocked(plan)
}

// applyLocked does it. The caller holds r.applying.
func (r *Router) applyLocked(plan *Plan) error {
	old := r.table.Load()
	hops, fresh, changes := r.hopsOf(plan, old)
	next, err := newTable(plan, hops, old)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	leaving := without(old.order, hops)

	undo := yieldPorts(leaving, fresh, changes)
	if err := r.startAll(fresh); err != nil {
		undo()
		return err
	}
	for i, c := range changes {
		if err := c.prepare(); err != nil {
			for ; i > 0; i-- {
				changes[i-1].unprepare()
			}
			for j := len(fresh) - 1; j >= 0; j-- {
				fresh[j].remove()
			}
			undo()
			return err
		}
	}
	for _, c := range changes {
		c.commit()
	}

	r.refreshFar(next)
	r.table.Store(next)
	r.refreshFar(next) // and again: somebody may just have done so for the old one
	r.quiesce(old)
	for _, g := range old.groups {
		g.keep(next.group(g.cfg.Name))
	}
	r.refreshMTUs(next)
	if !r.unsettled {
		settle(lost(old, next, changes))
		for _, c := range changes {
			if c.old.via != c.next.via {
				settleCarriers(c.old.via, nil, time.Now().Add(drainWait))
			}
		}
	}
	r.removeAll(leaving, next)
	for _, h := range next.order {
		r.announce(h)
	}
	r.current = plan
	r.kickSupervisor()
	return nil
}

// lost returns the hops of the next table which lost what went into them before.
func lost(old, next *table, changes []*change) []*hop {
	moved := old.moved(next)
	for _, c := range changes {
		if c.lost() {
			moved[c.hop] = true
		}
	}
	var lost []*hop
	for h := range moved {
		if next.views[h] != nil {
			lost = append(lost, h)
		}
	}
	return lost
}

// removeAll ends hops that are not in the next table, leaves first.
func (r *Router) removeAll(leaving []*hop, next *table) {
	for i := len(leaving) - 1; i >= 0; i-- {
		h := leaving[i]
		h.remove()
		if via := h.via(); via != nil && next.views[via] != nil && !r.unsettled {
			settleCarriers(via, nil, time.Now().Add(drainWait))
		}
		r.bury(h)
	}
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
// that can be what it says, with what changes of them, and fresh ones, not
// started.
func (r *Router) hopsOf(plan *Plan, old *table) (hops, fresh []*hop, changes []*change) {
	byName := make(map[string]*hop, len(plan.Hops))
	for _, ph := range plan.Hops {
		cfg := plan.hop(ph.Name)
		via := byName[cfg.Via]
		if g := plan.findGroup(cfg.Via); g != nil {
			via = byName[plan.active(g, old)]
		}
		h := old.hop(cfg.Name)
		if h == nil || !h.canBecome(cfg, via != nil) {
			h = newHop(r, cfg, via)
			fresh = append(fresh, h)
		} else if next := newSettings(cfg, via); h.changed(next) {
			changes = append(changes, &change{hop: h, old: h.conf(), next: next})
		}
		byName[cfg.Name] = h
		hops = append(hops, h)
	}
	return hops, fresh, changes
}

// yieldPorts frees the UDP ports of hops that leave, or move, where another hop
// wants the same; undo takes them back.
func yieldPorts(leaving, fresh []*hop, changes []*change) (undo func()) {
	type place struct {
		via  *hop
		port uint16
	}
	wanted := make(map[place]bool)
	want := func(s *settings) { wanted[place{s.via, s.ListenPort}] = s.ListenPort != 0 }
	for _, h := range fresh {
		want(h.conf())
	}
	yields := leaving
	for _, c := range changes {
		if c.old.ListenPort != c.next.ListenPort || c.old.via != c.next.via {
			want(c.next)
			yields = append(yields[:len(yields):len(yields)], c.hop)
		}
	}
	var freed []*hop
	for _, h := range yields {
		if wanted[place{h.via(), h.conf().ListenPort}] {
			h.release()
			freed = append(freed, h)
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
// the current one. A TUN reader that waits for room in a ring is let wait: that
// is how a busy hop slows down those who send, and it ends within stallWait.
func (r *Router) quiesce(old *table) {
	r.routing.Lock()
	r.routing.Unlock() //nolint:staticcheck // waiting for the reader is the purpose
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
