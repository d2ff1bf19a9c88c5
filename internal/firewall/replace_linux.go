package firewall

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
)

// nft returns the chain without its rules.
func (c *chain) nft(t *nftables.Table) *nftables.Chain {
	n := &nftables.Chain{Table: t, Name: c.name}
	if h := c.hook; h != nil {
		policy := nftables.ChainPolicyAccept
		if h.drop {
			policy = nftables.ChainPolicyDrop
		}
		n.Type, n.Hooknum, n.Priority, n.Policy = nftables.ChainTypeFilter, h.at, h.priority, &policy
	}
	return n
}

// replace makes rs all that is in the table, which exists, in one transaction.
//
// Chains that stay are kept, and only their rules change: those switch all at
// once. The kernel sets the policy of a chain that is made anew a moment after it
// has begun to use it, which is why output and forward end in a rule that says
// the same: without it 55 datagrams left in 2,000 replacements (Linux 6.18).
func (rs ruleset) replace(conn *nftables.Conn, t *nftables.Table) error {
	sets, chains, err := contents(conn, t)
	if err != nil {
		return err
	}
	conn.FlushTable(t) // all rules
	for _, s := range sets {
		conn.DelSet(s)
	}
	for _, have := range chains {
		i := slices.IndexFunc(rs.chains, func(c chain) bool { return c.name == have.Name })
		if i < 0 || !sameHook(rs.chains[i].nft(t), have) {
			conn.DelChain(have)
		}
	}
	for _, s := range rs.sets {
		if err := conn.AddSet(s.nft(t), nil); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
		if err := s.fill(conn, t); err != nil {
			return err
		}
	}
	for _, c := range rs.chains {
		conn.AddChain(c.nft(t)) // of one that is kept, sets the policy
	}
	for _, c := range rs.chains {
		for _, r := range c.rules {
			conn.AddRule(&nftables.Rule{Table: t, Chain: c.nft(t), Exprs: r.exprs()})
		}
	}
	return conn.Flush()
}

// contents returns the sets and chains of a table.
func contents(conn *nftables.Conn, t *nftables.Table) ([]*nftables.Set, []*nftables.Chain, error) {
	sets, err := conn.GetSets(t)
	if err != nil {
		return nil, nil, fmt.Errorf("list of sets: %w", err)
	}
	chains, err := conn.ListChainsOfTableFamily(t.Family)
	if err != nil {
		return nil, nil, fmt.Errorf("list of chains: %w", err)
	}
	return sets, slices.DeleteFunc(chains, func(c *nftables.Chain) bool { return c.Table.Name != t.Name }), nil
}

// sameHook reports whether two chains are entered from the same place; if so,
// one can become the other.
func sameHook(a, b *nftables.Chain) bool {
	if a.Hooknum == nil || b.Hooknum == nil {
		return a.Hooknum == nil && b.Hooknum == nil
	}
	return a.Type == b.Type && *a.Hooknum == *b.Hooknum && *a.Priority == *b.Priority
}
