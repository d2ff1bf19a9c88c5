package router

import (
	"time"
)

// failOver looks after the groups of t: probes what should be heard and is not,
// and switches.
func (r *Router) failOver(t *table) {
	for _, g := range t.groups {
		now := time.Now()
		g.past.mu.Lock()
		for _, v := range g.views {
			g.look(v.hop, now)
		}
		for _, h := range g.watch(now) {
			r.probe(h, g.past.of(h).ping)
		}
		next, why := g.choose(now)
		g.past.mu.Unlock()
		if next != nil {
			r.switchTo(g, next, why)
		}
	}
}

// look brings the health of a hop up to date.
func (g *group) look(h *hop, now time.Time) {
	x := g.past.of(h)
	if x.ping != nil && x.ping.to != g.cfg.Probe {
		h.unping(x.ping)
		x.ping = nil
	}
	if x.ping == nil && g.cfg.Probe.IsValid() {
		x.ping = h.newPing(g.cfg.Probe)
	}
	x.look(h, g.cfg, now)
}

// watch returns the hops that must be probed now: the active one, if it was not
// heard; those that it is preferred to, if it is in doubt; those that are
// preferred to it; and the carriers of those that are in doubt, so that the blame
// is put on the right hop. The caller holds g.past.mu.
func (g *group) watch(now time.Time) []*hop {
	active := g.active.Load()
	x := g.past.of(active.hop)
	var probed []*hop
	add := func(h *hop, returns bool) {
		y := g.past.of(h)
		if !y.expect(h, g.cfg, now) && !(returns && y.askAgain(h, g.cfg, now)) {
			return
		}
		probed = append(probed, h)
		for c := h.via(); c != nil; c = c.via() {
			if at := c.heardAt(); at.Before(y.doubt) || now.Sub(at) > answerTime/2 {
				probed = append(probed, c)
			}
		}
	}
	add(active.hop, false)
	all := active.hop.isDown() || !x.doubt.IsZero() && now.Sub(x.doubt) >= min(briefDoubt, g.cfg.Patience/2)
	preferred := true
	for _, v := range g.views {
		switch {
		case v == active:
			preferred = false
		case all || preferred:
			add(v.hop, preferred)
		default:
			g.past.of(v.hop).rest(g.cfg, now)
		}
	}
	return probed
}

// choose returns the hop that should take over, and why; nil: none. The caller
// holds g.past.mu.
func (g *group) choose(now time.Time) (next *view, why string) {
	active := g.active.Load()
	x := g.past.of(active.hop)
	if down, reason := active.hop.downReason(); down {
		return g.best(active), "hop " + active.hop.name + " is down: " + reason
	}
	if x.silent(g.cfg) {
		for _, v := range g.views {
			if y := g.past.of(v.hop); v != active && !v.hop.isDown() && y.doubt.IsZero() && y.heard.After(x.doubt) {
				return v, "hop " + active.hop.name + ": " + x.silentReason(active.hop, g.cfg)
			}
		}
		return nil, ""
	}
	if !x.doubt.IsZero() {
		return nil, ""
	}
	for _, v := range g.views {
		if v == active {
			break
		}
		if y := g.past.of(v.hop); y.isDue(v.hop, g.cfg, now) && !y.asked.IsZero() && y.heard.After(y.asked) {
			return v, "hop " + v.hop.name + " is preferred, and answers again"
		}
	}
	return nil, ""
}

// best returns the first hop that is not down and is known to be good, else the
// first that is not down; nil: all are.
func (g *group) best(active *view) *view {
	var up *view
	for _, v := range g.views {
		if v == active || v.hop.isDown() {
			continue
		}
		if x := g.past.of(v.hop); !x.good.IsZero() && x.doubt.IsZero() {
			return v
		}
		if up == nil {
			up = v
		}
	}
	return up
}

// switchTo makes another hop of a group the active one. What it carries moves
// with it: sessions stay.
func (r *Router) switchTo(g *group, next *view, why string) {
	if !r.applying.TryLock() { // Apply may be about to change the group; next time
		return
	}
	defer r.applying.Unlock()
	t := r.table.Load()
	if r.isClosing() || t.group(g.cfg.Name) != g {
		return
	}
	was := g.active.Swap(next)
	g.past.mu.Lock()
	g.past.since, g.past.reason = time.Now(), why
	if x := g.past.of(was.hop); was.hop.isDown() || x.silent(g.cfg) {
		x.relapse++
	}
	g.past.of(next.hop).rest(g.cfg, time.Now())
	g.past.mu.Unlock()
	r.log.Warn("another hop serves", "group", g.cfg.Name, "hop", next.hop.name, "was", was.hop.name, "reason", why)
	r.emit(Event{Kind: EventFailover, Group: g.cfg.Name, Hop: next.hop.name, Was: was.hop.name, Reason: why})

	for _, h := range t.order {
		if old := h.conf(); old.Via == g.cfg.Name {
			c := &change{hop: h, old: old, next: newSettings(old.Hop, next.hop)}
			c.commit()
		}
	}
	r.refreshFar(t)
	r.quiesce(t)
	r.refreshMTUs(t)
	if !r.unsettled {
		settle([]*hop{was.hop})
	}
	for _, h := range t.order {
		r.announce(h)
	}
}

// probe makes the peers of a hop say something: with a ping through it, or a
// handshake. It does not wait.
func (r *Router) probe(h *hop, via *ping) {
	if via != nil {
		h.ping(via)
		return
	}
	if p := h.port.Load(); p != nil {
		r.shake(h, p, false)
	}
}

// shake begins a handshake with each peer of a hop: every 5 s at most, unless it is
// to be anew, for a hop without a session. It does not wait.
func (r *Router) shake(h *hop, p *port, anew bool) {
	if !h.probing.CompareAndSwap(false, true) {
		return
	}
	r.goroutines.Add(1)
	go func() { // until the last message is sent, or the hop is released
		defer r.goroutines.Done()
		defer h.probing.Store(false)
		for _, peer := range h.conf().Peers {
			if q := p.peer(peer.PublicKey); q != nil && h.endpointNow(peer.PublicKey).IsValid() {
				if anew {
					q.ExpireCurrentKeypairs() // there are none; it may ask again at once
				}
				_ = q.SendHandshakeInitiation(false) // wireguard-go logs
			}
		}
	}()
}
