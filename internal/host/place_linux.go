package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// place is a table in which there are routes of ours. It changes nothing: it is
// what the journal holds of the routes, however many they are, and tells which
// of the table's are ours.
type place struct {
	Table uint32
	Own   bool   // every route of our protocol there is ours
	Guard uint32 // else those with this metric, and those into the TUN
}

func (c *place) key() string                           { return fmt.Sprint("routes ", c.Table) }
func (c *place) after(*kernel, change) (change, error) { return c, nil }
func (c *place) do(*kernel, change) error              { return nil }
func (c *place) undo(*kernel) error                    { return nil }
func (c *place) holds(*kernel) (bool, error)           { return true, nil }
func (c *place) lines(string, change) []string         { return nil }
func (c *place) undoLines(string) []string             { return nil }

// places returns the tables in which there are routes of ours.
func (j *journal) places() []*place {
	var out []*place
	for _, c := range j.Changes {
		if p, ok := c.(*place); ok {
			out = append(out, p)
		}
	}
	return out
}

// ours reports whether a route of the table is this instance's; index is the
// TUN's, 0: there is none.
func (c *place) ours(r *hostRoute, index int) bool {
	if r.proto != Protocol || r.table != c.Table {
		return false
	}
	return c.Own || r.metric == c.Guard || index != 0 && r.index == index
}

// routes calls each for all routes of a table, in no order. When others' changes
// interrupt it, it calls reset and begins again.
func (k *kernel) routes(table uint32, reset func(), each func(r *hostRoute)) error {
	return retried(func() error {
		reset()
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			err := k.try("list routes", func() error {
				return k.sock.list(family, table, func(b []byte) {
					k.calls.Add(1)
					if r, ok := parseRoute(b); ok && !r.cached && r.table == table {
						each(&r)
					}
				})
			})
			if err != nil && !gone(err) && !errors.Is(err, unix.EAFNOSUPPORT) {
				return err
			}
		}
		return nil
	})
}

// ourRoutes reads our routes in places, sorted.
func (k *kernel) ourRoutes(places []*place) (*state, error) {
	index, err := k.index()
	if err != nil && !gone(err) {
		return nil, err
	}
	found := &state{}
	for _, p := range places {
		before := *found
		err := k.routes(p.Table, func() { *found = before }, func(r *hostRoute) {
			switch {
			case !p.ours(r, index):
			case r.kind == intoTUN:
				found.tuns = append(found.tuns, r.route)
			default:
				found.guards = append(found.guards, r.route)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	found.guards, found.tuns = sortRoutes(found.guards), sortRoutes(found.tuns)
	return found, nil
}

// hasRoute reports whether the kernel has our r.
func (k *kernel) hasRoute(r route) (bool, error) {
	index, err := k.index()
	if err != nil && !gone(err) {
		return false, err
	}
	found := false
	err = k.routes(r.table, func() { found = false }, func(o *hostRoute) {
		if o.same(r) && o.proto == Protocol && (r.kind != intoTUN || o.index == index && index != 0) {
			found = true
		}
	})
	return found, err
}
