package router

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A group is a failover group of one table. A switch is the swap of one pointer.
type group struct {
	cfg    *Group
	views  []*view // in order of preference
	active atomic.Pointer[view]
	past   *groupPast
}

// A groupPast is what outlives the tables that a group is in.
type groupPast struct {
	mu     sync.Mutex
	since  time.Time // of the last switch; zero: there was none
	reason string
	health map[*hop]*health // of its hops
}

// newGroup returns the group of a table. Its past is that of the table before, if
// that has it too.
func newGroup(p *Plan, cfg *Group, byName map[string]*view, before *table) *group {
	g := &group{cfg: cfg, past: &groupPast{health: make(map[*hop]*health)}}
	if old := before.group(cfg.Name); old != nil {
		g.past = old.past
	}
	for _, name := range cfg.Hops {
		g.views = append(g.views, byName[name])
	}
	g.active.Store(byName[p.active(cfg, before)])
	return g
}

// active returns the hop that serves first: that of the table before, unless it
// is taken down and another is not.
func (p *Plan) active(cfg *Group, before *table) string {
	if old := before.group(cfg.Name); old != nil {
		name := old.active.Load().hop.name
		if slices.Contains(cfg.Hops, name) && (!p.hopIsDown(p.find(name)) || p.isDown(cfg.Name)) {
			return name
		}
	}
	return p.preferred(cfg.Name).Name
}

// group returns the group of that name; nil: there is none.
func (t *table) group(name string) *group {
	if t == nil {
		return nil
	}
	for _, g := range t.groups {
		if g.cfg.Name == name {
			return g
		}
	}
	return nil
}

// status returns the state of the group.
func (g *group) status() GroupStatus {
	g.past.mu.Lock()
	defer g.past.mu.Unlock()
	s := GroupStatus{Name: g.cfg.Name, Active: g.active.Load().hop.name, Since: g.past.since, Reason: g.past.reason}
	for _, v := range g.views {
		x := g.past.of(v.hop)
		m := MemberStatus{Name: v.hop.name, Heard: x.heard}
		m.Health, m.Reason = x.state(v.hop, g.cfg)
		s.Hops = append(s.Hops, m)
	}
	return s
}

// of returns the health of a hop. The caller holds p.mu.
func (p *groupPast) of(h *hop) *health {
	if p.health[h] == nil {
		p.health[h] = &health{}
	}
	return p.health[h]
}

// keep ends the pings of hops that next, the same group of a later table, does not
// have, and forgets them; nil: there is none.
func (g *group) keep(next *group) {
	g.past.mu.Lock()
	defer g.past.mu.Unlock()
	for h, x := range g.past.health {
		if next == nil || !slices.ContainsFunc(next.views, func(v *view) bool { return v.hop == h }) {
			h.unping(x.ping)
			delete(g.past.health, h)
		}
	}
}

// A GroupStatus is the state of a failover group.
type GroupStatus struct {
	Name   string         `json:"name"`
	Active string         `json:"active"`           // the hop that serves
	Since  time.Time      `json:"since,omitzero"`   // of its last switch; zero: there was none
	Reason string         `json:"reason,omitempty"` // of its last switch
	Hops   []MemberStatus `json:"hops"`             // in order of preference
}

// A MemberStatus is the health of one hop of a group.
type MemberStatus struct {
	Name   string    `json:"name"`
	Health Health    `json:"health"`
	Reason string    `json:"reason,omitempty"`
	Heard  time.Time `json:"heard,omitzero"` // when its peer was last heard; zero: never
}

// Health is what is known of a hop of a group.
type Health string

// The states of health.
const (
	HealthUnknown Health = "unknown" // nothing was heard lately, and nothing expected
	HealthGood    Health = "good"    // heard lately
	HealthDoubt   Health = "doubt"   // it was probed and is not heard yet, or its carrier is in doubt
	HealthSilent  Health = "silent"  // it does not answer, though its carrier does
	HealthDown    Health = "down"    // its routes reject: Reason says why
)
