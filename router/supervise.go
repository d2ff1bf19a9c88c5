package router

import (
	"time"

	"multihop/internal/beat"
)

// pollEvery is how often devices are asked for what only they know, and looked
// after.
const pollEvery = time.Second

// healthyAfter is how long a restarted hop must run for its earlier failures to
// be forgotten.
const healthyAfter = time.Minute

func (r *Router) kickSupervisor() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// supervise polls the devices, notices those that died, and restarts them with
// backoff, until the router closes.
func (r *Router) supervise() {
	defer r.goroutines.Done()
	tick := time.NewTicker(beat.Until(pollEvery))
	defer tick.Stop()
	for {
		t := r.table.Load()
		r.refreshMTUs(t)
		for _, h := range t.order {
			h.check()
			r.announce(h)
			r.poll(h)
		}
		for _, h := range t.order {
			if h.due() {
				r.restart(h)
			}
		}
		r.lookUpNames(t)
		r.renewHandshakes(t)
		r.failOver(t)
		select {
		case <-tick.C:
			tick.Reset(beat.Until(pollEvery))
		case <-r.kick:
		case <-r.closing:
			return
		}
	}
}

// check notices a device that closed itself.
func (h *hop) check() {
	p := h.port.Load()
	if p == nil {
		return
	}
	select {
	case <-p.dev.Wait():
		h.fail(p, errDied)
	default:
	}
	h.mu.Lock()
	if h.failed == nil && h.failures > 0 && time.Since(h.started) > healthyAfter {
		h.failures = 0
	}
	h.mu.Unlock()
}

// due reports whether a hop should be started now: its time has come and its
// carrier is up.
func (h *hop) due() bool {
	if cfg := h.conf(); cfg.Down || cfg.via != nil && cfg.via.isDown() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return false
	}
	if h.failed != nil {
		return !time.Now().Before(h.retry)
	}
	return h.port.Load() == nil // not started while its carrier was down
}

// restart replaces the hop's device.
func (r *Router) restart(h *hop) {
	if !r.applying.TryLock() { // Apply may be about to remove it; next time
		return
	}
	defer r.applying.Unlock()
	if r.isClosing() || r.table.Load().views[h] == nil {
		return
	}
	h.stop()
	r.starting.Store(&[]*hop{h})
	defer r.starting.Store(nil)
	if err := h.start(); err != nil {
		h.failStopped(err)
	}
	r.announceTree(h)
}

// announceTree announces a hop and all that it carries, carriers first.
func (r *Router) announceTree(root *hop) {
	for _, h := range r.table.Load().order {
		if h.depends(root) {
			r.announce(h)
		}
	}
}

// refresh recomputes why the hop is down, if it is. Its carrier's state must be
// up to date.
func (h *hop) refresh() {
	h.mu.Lock()
	defer h.mu.Unlock()
	why := ""
	switch cfg := h.conf(); {
	case cfg.Down:
		why = "taken down"
	case h.failed != nil:
		why = h.failed.Error()
	case cfg.via != nil && cfg.via.isDown():
		why = "its carrier " + cfg.via.name + " is down"
	}
	if why == "" {
		h.blocked.Store(nil)
	} else {
		h.blocked.Store(&why)
	}
}

// announce refreshes a hop's state and tells of a change.
func (r *Router) announce(h *hop) {
	h.refresh()
	why := ""
	if p := h.blocked.Load(); p != nil {
		why = *p
	}
	h.tellMu.Lock()
	defer h.tellMu.Unlock()
	if h.told == nil || (*h.told == "") != (why == "") {
		r.tell(h, why)
	}
	h.told = &why
}

// tell logs and emits a hop's state: why it is down, or "" for up.
func (r *Router) tell(h *hop, why string) {
	if why == "" {
		r.log.Info("hop is up", "hop", h.name)
		r.emit(Event{Hop: h.name, Kind: EventUp})
		return
	}
	r.log.Warn("hop is down", "hop", h.name, "reason", why)
	r.emit(Event{Hop: h.name, Kind: EventDown, Reason: why})
}
