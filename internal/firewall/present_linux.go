package firewall

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Present reports whether the kernel has the table of c exactly as Apply would
// leave it, the owner included. It does not before f's first Apply, which takes
// over a table that is there.
func (f *Firewall) Present(c Config) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.presentLocked(&c)
}

func (f *Firewall) presentLocked(c *Config) (ok bool, err error) {
	if f.applied == nil {
		return false, nil
	}
	err = f.tryLocked(func() error {
		tables, err := f.conn.ListTablesOfFamily(family)
		if err != nil {
			return fmt.Errorf("list of tables: %w", err)
		}
		i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == c.Table })
		if i < 0 || flagsOf(tables[i]) != f.flags {
			return nil
		}
		ok, err = rulesOf(c).in(f.conn, tables[i])
		return err
	})
	if err != nil {
		return false, fmt.Errorf("firewall: table %s: %w", c.Table, err)
	}
	return ok, nil
}

// in reports whether rs is what is in the table t.
func (rs ruleset) in(conn *nftables.Conn, t *nftables.Table) (bool, error) {
	sets, chains, err := contents(conn, t)
	if err != nil || len(sets) != len(rs.sets) || len(chains) != len(rs.chains) {
		return false, err
	}
	haveSets := make(map[string]*nftables.Set)
	for _, s := range sets {
		haveSets[s.Name] = s
	}
	for _, s := range rs.sets {
		if ok, err := s.in(conn, haveSets[s.name]); !ok {
			return false, err
		}
	}
	haveChains := make(map[string]*nftables.Chain)
	for _, c := range chains {
		haveChains[c.Name] = c
	}
	for _, c := range rs.chains {
		if ok, err := c.in(conn, t, haveChains[c.name]); !ok {
			return false, err
		}
	}
	return true, nil
}

// in reports whether have, which may be nil, is the set s.
func (s *set) in(conn *nftables.Conn, have *nftables.Set) (bool, error) {
	if have == nil {
		return false, nil
	}
	want := s.nft(have.Table)
	if have.KeyType.Name != want.KeyType.Name || have.Interval != want.Interval || have.IsMap {
		return false, nil
	}
	elements, err := conn.GetSetElements(have)
	if err != nil {
		return false, fmt.Errorf("set %s: %w", s.name, err)
	}
	return sameElements(s.elements, elements), nil
}

// in reports whether have, which may be nil, is the chain c of the table t.
func (c *chain) in(conn *nftables.Conn, t *nftables.Table, have *nftables.Chain) (bool, error) {
	if have == nil || !sameHook(c.nft(t), have) {
		return false, nil
	}
	if c.hook != nil && (have.Policy == nil || *have.Policy != *c.nft(t).Policy) {
		return false, nil
	}
	rules, err := conn.GetRules(t, have)
	if err != nil {
		return false, fmt.Errorf("chain %s: %w", c.name, err)
	}
	if len(rules) != len(c.rules) {
		return false, nil
	}
	for i, r := range c.rules {
		if ok, err := sameExprs(r.exprs(), rules[i].Exprs); !ok {
			return false, err
		}
	}
	return true, nil
}

// sameExprs compares rules as the kernel gets them.
func sameExprs(a, b []expr.Any) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		x, err := expr.Marshal(byte(family), readable(a[i]))
		if err != nil {
			return false, err
		}
		y, err := expr.Marshal(byte(family), readable(b[i]))
		if err != nil {
			return false, err
		}
		if !bytes.Equal(x, y) {
			return false, nil
		}
	}
	return true, nil
}

// readable is e without what package expr writes but does not read back: the
// register of "ct mark set" (v0.3.0).
func readable(e expr.Any) expr.Any {
	if ct, ok := e.(*expr.Ct); ok && (ct.SourceRegister || ct.Register == 0) {
		return &expr.Ct{Key: ct.Key}
	}
	return e
}
