package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// firstPriority is that of the first instance's two rules; each further one has
// the next pair that is free, maxSlots pairs in all. They come before Tailscale's
// (5210 to 5270), wg-quick's and the kernel's.
const firstPriority = 3200

// rule sends packets to a table, by their mark.
type rule struct {
	V6       bool
	Priority int
	Mark     uint32
	Not      bool // packets without the mark
	Table    uint32
}

func (c *rule) key() string { return fmt.Sprint("rule ", c.V6, c.Priority) }

func (c *rule) after(*kernel, change) (change, error) { return c, nil }

// do adds the rule before it removes the one that it takes the place of: they
// may have one priority.
func (c *rule) do(k *kernel, old change) error {
	err := k.try("add rule", func() error { return k.nl.RuleAdd(c.netlink()) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("rule %d: %w", c.Priority, err)
	}
	if old, ok := old.(*rule); ok && *old != *c {
		return old.undo(k)
	}
	return nil
}

func (c *rule) undo(k *kernel) error {
	err := k.try("delete rule", func() error { return k.nl.RuleDel(c.netlink()) })
	if err != nil && !gone(err) && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("remove rule %d: %w", c.Priority, err)
	}
	return nil
}

func (c *rule) holds(k *kernel) (bool, error) {
	rules, err := k.rules()
	want := c.netlink()
	return slices.ContainsFunc(rules, func(r netlink.Rule) bool {
		return r.Family == want.Family && r.Priority == want.Priority && r.Mark == want.Mark &&
			r.Invert == want.Invert && r.Table == want.Table && r.Protocol == want.Protocol
	}), err
}

func (c *rule) netlink() *netlink.Rule {
	n := netlink.NewRule()
	n.Family = netlink.FAMILY_V4
	if c.V6 {
		n.Family = netlink.FAMILY_V6
	}
	n.Priority, n.Mark, n.Invert, n.Table = c.Priority, c.Mark, c.Not, int(c.Table)
	n.Protocol = Protocol
	return n
}

func (c *rule) lines(string, change) []string { return []string{c.line("add")} }
func (c *rule) undoLines(string) []string     { return []string{c.line("del")} }

func (c *rule) line(verb string) string {
	family := netip.IPv4Unspecified()
	if c.V6 {
		family = netip.IPv6Unspecified()
	}
	not, table := "", "main"
	if c.Not {
		not = "not "
	}
	if c.Table != unix.RT_TABLE_MAIN {
		table = fmt.Sprint(c.Table)
	}
	return fmt.Sprintf("%s rule %s %sfwmark %#x table %s priority %d protocol %d",
		ip(family), verb, not, c.Mark, table, c.Priority, Protocol)
}
