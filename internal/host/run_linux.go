package host

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// take makes one step and writes it down: what is done before it is done, what
// is undone after it is undone.
func (h *Host) take(s step) error { return h.takeBatch([]step{s})[0] }

// takeBatch takes steps of routes, or one other (see ahead). It returns the
// errors of those that failed, by their number.
func (h *Host) takeBatch(steps []step) map[int]error {
	if h.trace != nil && (h.traced == nil || h.traced()) {
		for _, s := range steps {
			for _, l := range h.lines(s) {
				h.trace(l)
			}
		}
	}
	s := steps[0]
	if isRouteStep(s) { // its place stands for it in the journal
		return h.k.changeRoutes(steps)
	}
	var err error
	if s.new != nil {
		err = h.k.try("write journal", func() error { return h.journal.put(s.new) })
	}
	if err == nil {
		err = s.do(h.k)
	}
	if err == nil && s.new == nil {
		err = h.k.try("write journal", func() error { return h.journal.remove(s.old) })
	}
	if err != nil {
		return map[int]error{0: err}
	}
	return nil
}

// many is how many steps take long enough to be told of.
const many = 10_000

func (h *Host) tellProgress(done, total int) {
	if h.progress != nil && total >= many {
		h.progress(done, total)
	}
}

// run takes steps. When one fails, or ctx ends, it brings back what was before
// them.
func (h *Host) run(ctx context.Context, steps []step) error {
	for i := 0; i < len(steps); {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, h.rollback(steps[:i]))
		}
		n := ahead(steps[i:])
		failed := h.takeBatch(steps[i : i+n])
		i += n
		h.tellProgress(i, len(steps))
		if len(failed) > 0 {
			first := slices.Min(slices.Collect(maps.Keys(failed)))
			return errors.Join(failed[first], h.rollback(steps[:i]))
		}
	}
	return nil
}

// rollback takes the inverse of steps, last first. If one fails, the others are
// taken all the same, but a kill switch stays.
func (h *Host) rollback(steps []step) error {
	back := make([]step, len(steps))
	for i, s := range steps {
		back[len(steps)-1-i] = s.inverse()
	}
	return h.tryAll(back)
}

// tryAll takes steps also when others fail; but then a kill switch that stands
// stays, and so does what the journal says of a table that is not empty.
func (h *Host) tryAll(steps []step) error {
	var errs []error
	half := false             // what steers packets is not as it should be
	left := map[uint32]bool{} // tables with routes that could not be deleted
	total := len(steps)
	for len(steps) > 0 {
		h.tellProgress(total-len(steps), total)
		n := ahead(steps)
		batch := steps[:n]
		steps = steps[n:]
		if s := batch[0]; s.new == nil {
			if w, ok := s.old.(*wall); ok && w.KillSwitch && half {
				errs = append(errs, errors.New("the kill switch stays, until this can be undone"))
				continue
			}
			if p, ok := s.old.(*place); ok && left[p.Table] {
				continue
			}
		}
		for i, err := range h.takeBatch(batch) {
			if i == 0 || len(errs) < maxErrors {
				errs = append(errs, err)
			}
			switch c := batch[i].old.(type) {
			case *dns: // steers nothing
			case *route:
				half, left[c.table] = true, true
			default:
				half = true
			}
		}
	}
	h.tellProgress(total, total)
	return errors.Join(errs...)
}

// maxErrors bounds the errors that are told of many routes.
const maxErrors = 10

// Close undoes everything, last first, and removes the journal. A TUN that has
// vanished, and what somebody else removed, is no error. What could not be
// undone stays in the journal, and a kill switch with it: call Close again, or
// Clean. It is idempotent.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.k.warnings = nil
	if err := h.begin(true); err != nil {
		return h.wrap(err)
	}
	if err := h.undoAll(); err != nil {
		return h.wrap(err)
	}
	for _, w := range h.k.warnings {
		h.log.Warn(w)
	}
	return h.leave()
}

func (h *Host) undoAll() error {
	var err error
	if h.routed, err = h.k.ourRoutes(h.journal.places()); err != nil {
		return err
	}
	steps, err := h.k.steps(h.journal.Changes, h.routed, &state{}, false)
	if err != nil {
		return err
	}
	h.sure, h.config = false, nil
	return h.tryAll(steps)
}

// Release ends the use of h without undoing what Apply did, for a process that
// ends while its rules are to stay: the next one with a Host of that name, or
// Clean, finds them in the journal. What only Choose and Do did is undone.
func (h *Host) Release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	if len(h.journal.Changes) == 1 {
		if n, ok := h.journal.Changes[0].(*namespace); ok {
			if err := h.take(step{old: n}); err != nil {
				return h.wrap(err)
			}
		}
	}
	return h.leave()
}

// leave closes everything that is open, and removes a journal without changes.
func (h *Host) leave() error {
	return h.wrap(errors.Join(h.close(), h.journal.end()))
}

func (h *Host) close() error {
	h.closed = true
	h.status.Store(nil)
	h.release()
	h.k.outer.close()
	if h.k.wall != nil {
		return h.k.wall.Close()
	}
	return nil
}

// Clean undoes what an instance that has ended left behind, by its journal. No
// journal: there is nothing to undo. The namespace is the journal's, and not that
// of o.
func Clean(name string, o *Options) error {
	h, err := New(name, o)
	if err != nil {
		return err
	}
	h.netns = h.journal.Netns
	return h.Close()
}
