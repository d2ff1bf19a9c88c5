package host

import (
	"reflect"
	"slices"
)

// A change is one thing that the operating system is told.
type change interface {
	// key names what is changed. Of two changes with one key, the later takes the
	// earlier one's place.
	key() string
	// after completes the change by what there is before it: old, our own earlier
	// change with the key; nil: the host's own. It changes nothing.
	after(k *kernel, old change) (change, error)
	// do makes the change. What is made already is no error: after a crash nobody
	// knows. old is what it takes the place of; nil: nothing of ours.
	do(k *kernel, old change) error
	// undo brings back what was before. What is gone is no error.
	undo(k *kernel) error
	// holds reports whether it is still as do left it.
	holds(k *kernel) (bool, error)
	// lines say what do does, in the manner of a shell; undoLines, undo.
	lines(tun string, old change) []string
	undoLines(tun string) []string
}

// A step is one change to make. No new: undo old. No old: do new. Both: new
// takes the place of old; if they are equal, new is only made sure of.
type step struct{ old, new change }

// inverse brings back what was before the step.
func (s step) inverse() step { return step{old: s.new, new: s.old} }

func (s step) do(k *kernel) error {
	if s.new == nil {
		return s.old.undo(k)
	}
	return s.new.do(k, s.old)
}

func (s step) lines(tun string) []string {
	if s.new == nil {
		return s.old.undoLines(tun)
	}
	return s.new.lines(tun, s.old)
}

// A state is all that a host is told, in the order of doing it.
type state struct {
	early  []change // what the routes need, the firewall first
	guards []route  // what keeps packets out of other routes; sorted
	tuns   []route  // into the TUN; sorted
	late   []change // what sends packets to the routes
	around *around  // what it was derived from; nil: read from the kernel
}

// steps returns what leads from have and its routes to want: first what is new, then what is gone, last
// first. With ensure also what should be there already is done again.
func (k *kernel) steps(have []change, routes, want *state, ensure bool) ([]step, error) {
	old := make(map[string]change, len(have))
	for _, c := range have {
		old[c.key()] = c
	}
	var out, last []step
	kept := make(map[string]bool)
	add := func(changes []change) error {
		for _, c := range changes {
			was := old[c.key()]
			kept[c.key()] = true
			c, err := c.after(k, was)
			if err != nil {
				return err
			}
			switch s := (step{was, c}); {
			case was != nil && (!ensure || rank(c) == 0) && reflect.DeepEqual(was, c): // the namespace is open already
			case opens(s):
				last = append(last, s)
			default:
				out = append(out, s)
			}
		}
		return nil
	}
	if err := add(want.early); err != nil {
		return nil, err
	}
	guards, guardsGone := diffRoutes(routes.guards, want.guards)
	tuns, tunsGone := diffRoutes(routes.tuns, want.tuns)
	out = slices.Concat(out, guards, tuns)
	if err := add(want.late); err != nil {
		return nil, err
	}
	var lateGone, earlyGone []step
	for _, c := range undoOrder(have) {
		switch {
		case kept[c.key()]:
		case rank(c) >= lateRank:
			lateGone = append(lateGone, step{old: c})
		default:
			earlyGone = append(earlyGone, step{old: c})
		}
	}
	for _, gone := range [][]step{lateGone, tunsGone, guardsGone, earlyGone, last} {
		out = append(out, gone...)
	}
	return out, nil
}

// lateRank is that of the first kind of change that comes after the routes.
const lateRank = 7

// rank orders the kinds of changes by when they are done.
func rank(c change) int {
	switch c.(type) {
	case *namespace:
		return 0
	case *wall:
		return 1
	case *sysctl:
		return 2
	case *linkMTU:
		return 3
	case *address:
		return 4
	case *linkUp:
		return 5
	case *place, *route:
		return 6
	case *rule:
		return lateRank
	case *dns:
		return lateRank + 1
	}
	panic("host: a change without a rank")
}

// undoOrder returns changes in the order of undoing them.
func undoOrder(changes []change) []change {
	out := slices.Clone(changes)
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b change) int { return rank(b) - rank(a) })
	return out
}
