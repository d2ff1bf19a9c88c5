package host

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"os"
	"reflect"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// firstMark is the first mark, and table, that is tried. wg-quick begins a
	// thousand below.
	firstMark = 52820
	// maxSlots bounds the instances on a host.
	maxSlots = 1000
)

// layout is how packets get into the TUN.
type layout struct {
	off    bool   // not by us
	policy bool   // by rules and a table of our own
	table  uint32 // with the routes, unless off; 0: to be chosen
	v4, v6 bool   // the routes have the default of IPv4, of IPv6
	kill   bool   // the kill switch is on
}

// layout derives the layout of c.
func (h *Host) layout(c *Config) (layout, error) {
	var l layout
	if c.Name != h.k.tun {
		return l, fmt.Errorf("%q is not the TUN", c.Name)
	}
	l.v4, l.v6 = c.defaults()
	switch c.Table {
	case "off":
		l.off = true
	case "", "auto":
		l.table = unix.RT_TABLE_MAIN
		if h.netns == "" && (l.v4 || l.v6 || c.coversEndpoint() || c.excludes()) {
			l.policy, l.table = true, h.journal.Table
		}
		l.kill = l.policy && (l.v4 || l.v6)
	default:
		n, err := strconv.ParseUint(c.Table, 10, 32)
		if err != nil || n == unix.RT_TABLE_UNSPEC || n == unix.RT_TABLE_LOCAL {
			return l, fmt.Errorf("table %q: want auto, off, or the number of a table", c.Table)
		}
		l.table = uint32(n)
	}
	if c.KillSwitch != Auto {
		l.kill = c.KillSwitch == On
	}
	if h.netns != "" {
		l.kill = false // what is in the namespace has no other way out
	}
	return l, nil
}

// prefixes ranges over the prefixes of all routes, each with its route.
func (c *Config) prefixes() iter.Seq2[netip.Prefix, *Route] {
	return func(yield func(netip.Prefix, *Route) bool) {
		for i := range c.Routes {
			r := &c.Routes[i]
			if r.Prefix.IsValid() && !yield(r.Prefix, r) {
				return
			}
			for _, p := range r.Prefixes {
				if !yield(p, r) {
					return
				}
			}
		}
	}
}

// defaults reports whether the routes have the default of IPv4 and of IPv6.
func (c *Config) defaults() (v4, v6 bool) { return defaults(c.each()) }

// each is prefixes without their routes.
func (c *Config) each() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for p := range c.prefixes() {
			if !yield(p) {
				return
			}
		}
	}
}

// size is how many prefixes there are at most.
func (c *Config) size() int {
	n := 0
	for _, r := range c.Routes {
		n += 1 + len(r.Prefixes)
	}
	return n
}

// coversEndpoint reports whether the routes would take our own datagrams: in the
// table main even those with a mark find them.
func (c *Config) coversEndpoint() bool {
	if len(c.Endpoints) == 0 {
		return false
	}
	for p := range c.prefixes() {
		for _, e := range c.Endpoints {
			if p.Contains(e.Addr().Unmap()) {
				return true
			}
		}
	}
	return false
}

// excludes reports whether a route is to have a hole, which the table main cannot
// have.
func (c *Config) excludes() bool {
	if len(c.Exclude) == 0 {
		return false
	}
	for p := range c.prefixes() {
		for _, e := range c.Exclude {
			if p.Overlaps(e) {
				return true
			}
		}
	}
	return false
}

// choose fills in what is to be chosen for c: a mark, a table, a slot. What the
// journal has stays.
func (h *Host) choose(c *Config, write bool) error {
	l, err := h.layout(c)
	if err != nil {
		return err
	}
	if write {
		if err := os.MkdirAll(h.k.dir, 0o700); err != nil {
			return err
		}
	}
	return h.k.locked(func() error {
		j := h.journal
		before := *j
		t, err := h.k.taken()
		if err != nil {
			return err
		}
		if j.Slot == 0 {
			if j.Slot, err = t.slot(); err != nil {
				return err
			}
		}
		if c.Mark == 0 && (l.policy || l.kill) {
			if j.Mark == 0 {
				if j.Mark, err = h.k.freeTable(t); err != nil {
					return err
				}
			}
			c.Mark = j.Mark
		}
		if l.policy && j.Table == 0 {
			if j.Table, err = h.k.tableFor(t, c.Mark); err != nil {
				return err
			}
		}
		if h.config == nil { // else what is in use stays, until Apply
			j.announce(c.Mark, c.Endpoints, c.Resolvers)
		}
		if !write || reflect.DeepEqual(before, *j) {
			return nil
		}
		return j.write()
	})
}

// taken is what others on this host use.
type taken struct {
	numbers    map[uint32]bool // marks, and tables that a rule names
	priorities map[int]bool
	slots      map[int]bool
}

// taken looks at the rules and at the other instances' journals.
func (k *kernel) taken() (*taken, error) {
	t := &taken{numbers: map[uint32]bool{}, priorities: map[int]bool{}, slots: map[int]bool{}}
	rules, err := k.rules()
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		t.numbers[uint32(r.Table)] = true
		t.numbers[r.Mark] = true
		t.priorities[r.Priority] = true
	}
	for _, j := range otherJournals(k.dir, k.tun) {
		t.numbers[j.Mark], t.numbers[j.mark()] = true, true
		t.numbers[j.Table], t.slots[j.Slot] = true, true
	}
	return t, nil
}

// rules lists the rules of both families.
func (k *kernel) rules() ([]netlink.Rule, error) {
	var out []netlink.Rule
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		err := retried(func() error {
			return k.try("list rules", func() error {
				rules, err := k.nl.RuleList(family)
				if err == nil {
					out = append(out, rules...)
				}
				return err
			})
		})
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, fmt.Errorf("list of rules: %w", err)
		}
	}
	return out, nil
}

// slot returns the first slot whose two priorities nobody has.
func (t *taken) slot() (int, error) {
	for s := 1; s <= maxSlots; s++ {
		p := priority(s)
		if !t.slots[s] && !t.priorities[p] && !t.priorities[p+1] {
			return s, nil
		}
	}
	return 0, errors.New("no priority for rules is free")
}

// priority returns that of the first of an instance's two rules.
func priority(slot int) int { return firstPriority + 2*(slot-1) }

// tableFor returns the table with the mark's number, as wg-quick has it, if
// nobody else uses it.
func (k *kernel) tableFor(t *taken, mark uint32) (uint32, error) {
	theirs := mark >= unix.RT_TABLE_DEFAULT && mark <= unix.RT_TABLE_LOCAL // default, main, local
	if !theirs && !t.numbers[mark] {
		if empty, err := k.empty(mark); err != nil || empty {
			return mark, err
		}
	}
	return k.freeTable(t)
}

// freeTable returns the first number from firstMark that is nobody's table and
// nobody's mark.
func (k *kernel) freeTable(t *taken) (uint32, error) {
	for n := uint32(firstMark); n < math.MaxInt32; n++ {
		if t.numbers[n] {
			continue
		}
		if empty, err := k.empty(n); err != nil || empty {
			return n, err
		}
	}
	return 0, errors.New("no table is free")
}

// empty reports whether a table has no routes.
func (k *kernel) empty(table uint32) (bool, error) {
	n := 0
	err := k.routes(table, func() { n = 0 }, func(*hostRoute) { n++ })
	return n == 0, err
}
