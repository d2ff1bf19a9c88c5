package router

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Compile validates a configuration and derives what it leaves open. It is
// pure: it asks neither the system nor a resolver. Its error is a *ConfigError
// or several, joined.
func Compile(cfg Config) (*Plan, error) {
	p := &Plan{cfg: cloneConfig(cfg), asked: make(map[string]int, len(cfg.Hops))}
	for i := range cfg.Hops {
		p.asked[cfg.Hops[i].Name] = cfg.Hops[i].MTU
	}
	if err := p.order(); err != nil {
		return nil, err
	}
	var errs []error
	for i := range p.cfg.Hops {
		if err := p.checkHop(&p.cfg.Hops[i]); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	ports := make(map[inside]string)
	for i := range p.cfg.Hops {
		h := &p.cfg.Hops[i]
		errs = append(errs, p.checkCarrier(h), p.checkPort(h, ports), p.deriveMTU(h))
	}
	if err := errors.Join(errs...); err != nil { // routes depend on MTUs
		return nil, err
	}
	if err := errors.Join(p.checkGroups(), p.checkRoutes(), p.deriveAddrs()); err != nil {
		return nil, err
	}
	p.describe()
	return p, nil
}

// cloneConfig copies what Compile changes.
func cloneConfig(cfg Config) *Config {
	cfg.Hops = slices.Clone(cfg.Hops)
	cfg.Groups = slices.Clone(cfg.Groups)
	cfg.Routes = slices.Clone(cfg.Routes)
	cfg.Addrs = slices.Clone(cfg.Addrs)
	for i := range cfg.Hops {
		h := &cfg.Hops[i]
		h.Addrs = slices.Clone(h.Addrs)
		h.Peers = slices.Clone(h.Peers)
		for j := range h.Peers {
			h.Peers[j].AllowedIPs = slices.Clone(h.Peers[j].AllowedIPs)
		}
	}
	for i := range cfg.Groups {
		cfg.Groups[i].Hops = slices.Clone(cfg.Groups[i].Hops)
	}
	return &cfg
}

// hop returns the planned hop of that name, or the zero Hop.
func (p *Plan) hop(name string) Hop {
	if h := p.find(name); h != nil {
		return *h
	}
	return Hop{}
}

// find returns the hop of that name; nil: there is none.
func (p *Plan) find(name string) *Hop {
	for i := range p.cfg.Hops {
		if p.cfg.Hops[i].Name == name {
			return &p.cfg.Hops[i]
		}
	}
	return nil
}

// findGroup returns the group of that name; nil: there is none.
func (p *Plan) findGroup(name string) *Group {
	for i := range p.cfg.Groups {
		if p.cfg.Groups[i].Name == name {
			return &p.cfg.Groups[i]
		}
	}
	return nil
}

// members returns the hops that a name stands for: one hop, or those of a
// group, in order of preference; none if it names neither.
func (p *Plan) members(name string) []*Hop {
	if h := p.find(name); h != nil {
		return []*Hop{h}
	}
	g := p.findGroup(name)
	if g == nil {
		return nil
	}
	var all []*Hop
	for _, n := range g.Hops {
		if h := p.find(n); h != nil {
			all = append(all, h)
		}
	}
	return all
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

var hopName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,64}$`)

// order checks names and carriers and sorts the hops, carriers first, else as
// they were given.
func (p *Plan) order() error {
	for i, h := range p.cfg.Hops {
		if !hopName.MatchString(h.Name) {
			return &ConfigError{Field: fmt.Sprintf("Hops[%d].Name", i),
				Err: fmt.Errorf("%q: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-", h.Name)}
		}
		if p.find(h.Name) != &p.cfg.Hops[i] {
			return &ConfigError{Hop: h.Name, Field: "Name", Err: errors.New("two hops have this name")}
		}
	}
	if err := p.checkGroupNames(); err != nil {
		return err
	}
	depth := make(map[string]int, len(p.cfg.Hops))
	for _, h := range p.cfg.Hops {
		if _, err := p.depth(h.Name, nil, depth); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.cfg.Hops, func(a, b Hop) int { return cmp.Compare(depth[a.Name], depth[b.Name]) })
	return nil
}

// depth returns how many hops deep a hop is, at most, and notes it in known.
// path are the hops that it carries.
func (p *Plan) depth(name string, path []string, known map[string]int) (int, error) {
	if d, ok := known[name]; ok {
		return d, nil
	}
	if slices.Contains(path, name) {
		return 0, &ConfigError{Hop: path[0], Field: "Via",
			Err: fmt.Errorf("a cycle: %s", strings.Join(append(path, name), " via "))}
	}
	path = append(path[:len(path):len(path)], name)
	h, deepest := p.find(name), 0
	if h.Via != "" && len(p.members(h.Via)) == 0 {
		return 0, &ConfigError{Hop: name, Field: "Via", Err: fmt.Errorf("there is no hop %q", h.Via)}
	}
	for _, carrier := range p.members(h.Via) {
		d, err := p.depth(carrier.Name, path, known)
		if err != nil {
			return 0, err
		}
		deepest = max(deepest, d)
	}
	known[name] = deepest + 1
	return deepest + 1, nil
}

// deriveAddrs fills in the TUN's addresses.
func (p *Plan) deriveAddrs() error {
	for i, a := range p.cfg.Addrs {
		field := fmt.Sprintf("Addrs[%d]", i)
		if err := checkAddr(a); err != nil {
			return &ConfigError{Field: field, Err: err}
		}
		for _, b := range p.cfg.Addrs[:i] {
			if a.Is4() == b.Is4() {
				return &ConfigError{Field: field, Err: fmt.Errorf("%s is a second address of its family", a)}
			}
		}
	}
	p.Addrs = p.cfg.Addrs
	if len(p.Addrs) > 0 {
		return nil
	}
	for _, is4 := range []bool{true, false} {
	hops:
		for _, h := range p.cfg.Hops {
			for _, a := range h.Addrs {
				if a.Is4() == is4 {
					p.Addrs = append(p.Addrs, a)
					break hops
				}
			}
		}
	}
	return nil
}
