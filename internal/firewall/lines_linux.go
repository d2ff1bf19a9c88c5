package firewall

import (
	"fmt"
	"strings"
)

// Lines are the commands of nft that make the table of c, all of it, if they are
// run as one transaction ("nft -f"). They leave out the flags of the table, which
// are only good on the socket of a process that stays. Apply does not use them.
func Lines(c Config) []string {
	rs := rulesOf(&c)
	at := "inet " + c.Table
	lines := []string{"add table " + at, "delete table " + at, "add table " + at}
	for _, s := range rs.sets {
		lines = append(lines, fmt.Sprintf("add set %s %s", at, s.String()))
	}
	for _, ch := range rs.chains {
		lines = append(lines, fmt.Sprintf("add chain %s %s", at, ch.String()))
	}
	for _, ch := range rs.chains {
		for _, r := range ch.rules {
			lines = append(lines, fmt.Sprintf("add rule %s %s %s", at, ch.name, r))
		}
	}
	return lines
}

// String is the set with its elements in the words of nft.
func (s *set) String() string {
	types := make([]string, len(s.types))
	for i, t := range s.types {
		types[i] = t.Name
	}
	b := s.name + " { type " + strings.Join(types, " . ") + "; "
	if s.interval {
		b += "flags interval; "
	}
	if len(s.text) > 0 {
		b += "elements = { " + strings.Join(s.text, ", ") + " } "
	}
	return b + "}"
}

// String is the chain without its rules in the words of nft.
func (c *chain) String() string {
	h := c.hook
	if h == nil {
		return c.name
	}
	policy := "accept"
	if h.drop {
		policy = "drop"
	}
	return fmt.Sprintf("%s { type filter hook %s priority %s; policy %s; }", c.name, h.atName, h.prioName, policy)
}
