package host

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// restore does again what others have undone. It reports whether something of
// the host's own has changed.
func (h *Host) restore(pending []event, overflow bool) (around bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.config == nil {
		return true
	}
	h.k.ifindex = 0
	if index, err := h.k.index(); err != nil || index != h.journal.Index {
		return true // the TUN is gone, and its owner will see to it
	}
	all, rules := overflow, false
	around = overflow
	for _, e := range pending {
		switch {
		case isRule(e):
			rules = true
			around = around || e.proto != Protocol
		case isRoute(e):
			around = h.restoreRoute(e) || around
		case e.index == h.k.ifindex:
			all = true
		default:
			around = true
		}
	}
	switch {
	case all:
		h.restoreIf(func(c change) bool {
			switch c.(type) {
			case *dns, *linkMTU: // watchDNS sees to that; whoever sets another MTU means it
				return false
			}
			return true
		})
		h.restoreRoutes()
	case rules:
		h.restoreIf(func(c change) bool { _, ok := c.(*rule); return ok })
	}
	return around
}

// follow has routes and firewall follow what is around them: the LAN, other
// instances.
func (h *Host) follow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.config == nil {
		return
	}
	h.k.warnings = nil
	c := *h.config
	c.Endpoints = append(slices.Clone(c.Endpoints), h.extra...)
	l, err := h.layout(&c)
	if err == nil && h.sure {
		var now *around
		if now, err = h.around(&c, l); err == nil && reflect.DeepEqual(now, h.met) {
			return
		}
	}
	if err == nil {
		err = h.pass(context.Background(), &c)
	}
	if err != nil {
		h.log.Warn("the host's network has changed, and not all could follow", "err", err)
	}
}

// othersChanged reports whether the firewall lets out other than what the other
// instances' journals say now.
func (h *Host) othersChanged() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.journal.index((&wall{}).key())
	if h.closed || h.config == nil || i < 0 {
		return false
	}
	// A journal is replaced by renaming a file. Two changes at once may leave the
	// directory with one time: look again for a while.
	info, err := os.Stat(h.k.dir)
	if err != nil || info.ModTime().Equal(h.seen) && time.Since(h.seen) > 2*look {
		return false
	}
	h.seen = info.ModTime()
	w := h.journal.Changes[i].(*wall)
	return !slices.Equal(w.TUNs, h.k.otherTUNs()) || w.KillSwitch && !reflect.DeepEqual(w.Others, h.k.others())
}

func isRule(e event) bool { return e.what == unix.RTM_NEWRULE || e.what == unix.RTM_DELRULE }

func isRoute(e event) bool { return e.what == unix.RTM_NEWROUTE || e.what == unix.RTM_DELROUTE }

// restoreRoute restores a route of ours that an event says is gone or has another
// in its place. It reports whether the event is about somebody else's.
func (h *Host) restoreRoute(e event) (others bool) {
	r, ok := findRoute(h.routed.guards, e.route)
	if !ok {
		r, ok = findRoute(h.routed.tuns, e.route)
	}
	ours := e.proto == Protocol
	switch {
	case !ok: // of another instance, or one that we removed
		return !ours || e.index != h.k.ifindex
	case ours == (e.what == unix.RTM_NEWROUTE): // ours is there, or another beside it has gone
		return !ours
	case ours:
		h.again(step{new: r})
		return false
	}
	h.again(step{r, r}) // in the place of theirs
	return true
}

// restoreIf restores the changes that match and do not hold.
func (h *Host) restoreIf(match func(change) bool) {
	for _, c := range h.journal.Changes {
		if !match(c) {
			continue
		}
		ok, err := c.holds(h.k)
		if err == nil && !ok {
			h.again(step{new: c})
		} else if err != nil {
			h.log.Warn("cannot tell what others have changed", "err", err)
		}
	}
}

// restoreRoutes restores what is missing of our routes, by reading them all.
func (h *Host) restoreRoutes() {
	found, err := h.k.ourRoutes(h.journal.places())
	if err != nil {
		h.log.Warn("cannot tell what others have changed", "err", err)
		return
	}
	guards, _ := diffRoutes(found.guards, h.routed.guards)
	tuns, _ := diffRoutes(found.tuns, h.routed.tuns)
	h.again(append(guards, tuns...)...)
}

// again makes steps that others have undone. When the TUN goes meanwhile, and its
// routes with it, its owner will see to that.
func (h *Host) again(steps ...step) {
	for len(steps) > 0 {
		n := ahead(steps)
		failed := h.takeBatch(steps[:n])
		for i, s := range steps[:n] {
			err := failed[i]
			if errors.Is(err, unix.EEXIST) { // somebody else's is in its place
				err = h.take(step{s.new, s.new})
			}
			if errors.Is(err, unix.ENODEV) {
				return
			}
			h.tellRestored(s, err)
		}
		steps = steps[n:]
	}
}

// tellRestored logs a step that others have undone. Who does so all the time, or
// with all routes at once, does not fill the log.
func (h *Host) tellRestored(s step, err error) {
	ok, unsaid := h.restored.take(time.Now())
	if unsaid > 0 {
		h.log.Warn("others have undone more than is told here", "changes", unsaid)
	}
	if !ok {
		return
	}
	for _, l := range s.lines(h.k.tun) {
		if err != nil {
			h.log.Warn("others have undone this, and it cannot be restored", "change", l, "err", err)
		} else {
			h.log.Info("others have undone this: restored", "change", l)
		}
	}
}
