package conf

import "fmt"

// nameHops names the members that have no name yet for their files, with a
// suffix where a name is taken.
func (p *profile) nameHops(members []*member) error {
	names, err := p.givenNames()
	if err != nil {
		return err
	}
	var unnamed []*member
	for _, m := range members {
		if m.name == "" {
			names, unnamed = append(names, m.file.Name), append(unnamed, m)
		}
	}
	names = uniqueNames(names)
	for i, m := range unnamed {
		m.name = names[len(names)-len(unnamed)+i]
	}
	return nil
}

// grow returns the tree of members, those of a group as one.
func (p *profile) grow(members []*member) *tree {
	var targets []*target
	groups := make(map[string]*target)
	for _, m := range members {
		group := m.spec.groupName()
		x := groups[group]
		if x == nil {
			x = &target{name: m.name}
			targets = append(targets, x)
		}
		if group != "" {
			x.name, x.group, groups[group] = group, true, x
		}
		x.members = append(x.members, m)
	}
	t := newTree(p.path)
	for _, x := range targets {
		t.add(x)
	}
	return t
}

// groupName returns the name of the group that h belongs to, or is; "": none.
func (h *hopSpec) groupName() string {
	if len(h.configs) > 1 {
		return h.name
	}
	return h.group
}

// givenNames returns the names of hops and groups that the profile gives. Each
// must be new.
func (p *profile) givenNames() (names []string, err error) {
	lines := make(map[string]int)
	for _, h := range p.hops {
		if h.name == "" {
			continue
		}
		if line, ok := lines[h.name]; ok {
			return nil, h.fail(p.path, "Name", fmt.Errorf("%s is the name of the [Hop] in line %d, too", h.name, line))
		}
		lines[h.name] = h.line
		names = append(names, h.name)
	}
	groups := make(map[string]bool)
	for _, h := range p.hops {
		if h.group == "" || groups[h.group] {
			continue
		}
		if line, ok := lines[h.group]; ok {
			return nil, h.fail(p.path, "Group", fmt.Errorf("%s is the name of the [Hop] in line %d: choose another", h.group, line))
		}
		groups[h.group] = true
		names = append(names, h.group)
	}
	return names, nil
}
