package router

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The pace of a group, where it says nothing, and the least that makes sense: a
// WireGuard device sends a handshake every 5 s at most, and is asked what it
// heard once a second.
const (
	defaultQuiet    = 10 * time.Second
	defaultPatience = 15 * time.Second
	defaultReturn   = time.Minute
	leastPatience   = 7 * time.Second
	leastPing       = 2 * time.Second
)

// checkGroupNames checks that groups have names and consist of hops.
func (p *Plan) checkGroupNames() error {
	for i := range p.cfg.Groups {
		g := &p.cfg.Groups[i]
		bad := func(field, format string, args ...any) error {
			return &ConfigError{Field: fmt.Sprintf("Groups[%d].%s", i, field), Err: fmt.Errorf(format, args...)}
		}
		switch {
		case !hopName.MatchString(g.Name):
			return bad("Name", "%q: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-", g.Name)
		case p.find(g.Name) != nil:
			return bad("Name", "%s is a hop's name too", g.Name)
		case p.findGroup(g.Name) != g:
			return bad("Name", "two groups are named %s", g.Name)
		case len(g.Hops) == 0:
			return bad("Hops", "group %s has no hop", g.Name)
		}
		for j, name := range g.Hops {
			field := fmt.Sprintf("Hops[%d]", j)
			switch {
			case p.findGroup(name) != nil:
				return bad(field, "%s is a group: a group consists of hops", name)
			case p.find(name) == nil:
				return bad(field, "there is no hop %q", name)
			case slices.Contains(g.Hops[:j], name):
				return bad(field, "group %s has hop %s twice", g.Name, name)
			}
		}
	}
	return nil
}

// checkGroups checks the rest, and fills in the pace.
func (p *Plan) checkGroups() error {
	for i := range p.cfg.Groups {
		g := &p.cfg.Groups[i]
		if field, err := p.checkGroup(g); err != nil {
			return &ConfigError{Field: fmt.Sprintf("Groups[%d].%s", i, field), Err: fmt.Errorf("group %s: %w", g.Name, err)}
		}
	}
	return nil
}

func (p *Plan) checkGroup(g *Group) (field string, err error) {
	least := leastPatience
	if g.Probe.IsValid() {
		least = leastPing
		if err := checkAddr(g.Probe); err != nil {
			return "Probe", err
		}
		for _, h := range p.members(g.Name) {
			if err := h.reaches(g.Probe, "hop"); err != nil {
				return "Probe", err
			}
		}
	}
	for _, d := range []struct {
		field string
		value *time.Duration
		least time.Duration
		usual time.Duration
	}{
		{"Quiet", &g.Quiet, time.Second, defaultQuiet},
		{"Patience", &g.Patience, least, defaultPatience},
		{"Return", &g.Return, time.Second, defaultReturn},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < d.least {
			return d.field, fmt.Errorf("%v: want at least %v", *d.value, d.least)
		}
	}
	for _, h := range p.members(g.Name) {
		if !slices.ContainsFunc(h.Peers, func(p Peer) bool { return p.Endpoint != "" }) {
			return "Hops", fmt.Errorf("hop %s has no peer with an endpoint: %w", h.Name, errUnprobed)
		}
	}
	return "", nil
}

var errUnprobed = errors.New("it could not be asked whether it is there")
