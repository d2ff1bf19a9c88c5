package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"multihop/router"
)

// A tree is the hops of a profile or a chain while they are put together.
type tree struct {
	path    string             // the profile's; "": a chain
	targets []*target          // as given
	named   map[string]*target // by name, and by the names of a group's members
	used    map[string]bool    // every name of a target, a member, a part
}

// A target is what Via, Routes and DNS can name: a hop or a group of hops.
type target struct {
	name     string
	group    bool
	members  []*member // of a group in order of preference; else one
	branches []*branch // one; one for each carrier of a hop that several carry

	onDown string     // "reject", "drop", a hop's or group's name; "": reject
	probe  netip.Addr // of a group; not valid: none
	pace   pace       // of a group

	underway bool // being placed
}

// A member is one file, or what stands for it, with its place in the tree.
type member struct {
	name string
	file *File
	spec *hopSpec // in a chain it says only Via
	hops []router.Hop
}

func newTree(path string) *tree {
	return &tree{path: path, named: make(map[string]*target), used: make(map[string]bool)}
}

// add puts a target into the tree. Its names are new.
func (t *tree) add(x *target) {
	t.targets = append(t.targets, x)
	for _, m := range x.members {
		t.named[m.name], t.used[m.name] = x, true
	}
	t.named[x.name], t.used[x.name] = x, true
}

// place makes the branches of x and, before, of what carries it.
func (t *tree) place(x *target) error {
	if len(x.branches) > 0 {
		return nil
	}
	x.underway = true
	for _, m := range x.members {
		var carriers []*branch
		for _, via := range m.spec.via {
			carrier := t.named[via]
			switch {
			case carrier == nil:
				return m.spec.fail(t.path, "Via", fmt.Errorf("no hop is named %q%s", via, t.hint(via)))
			case carrier.underway && carrier == x:
				return m.spec.fail(t.path, "Via", fmt.Errorf("%s would carry itself", x.name))
			case carrier.underway:
				return m.spec.fail(t.path, "Via", fmt.Errorf("a cycle: %s is itself carried by %s, directly or not", carrier.name, x.name))
			}
			if err := t.place(carrier); err != nil {
				return err
			}
			carriers = append(carriers, carrier.carriers(via)...)
		}
		branches, err := t.placeMember(x, m, carriers)
		if err != nil {
			return err
		}
		x.branches = append(x.branches, branches...)
	}
	if x.group {
		x.branches = []*branch{joinBranches(x)}
	}
	x.underway = false
	return nil
}

// carriers returns the branches that a hop via the given name has the choice of.
// A member of a group is named for itself.
func (x *target) carriers(via string) []*branch {
	if !x.group || via == x.name {
		return x.branches
	}
	i := slices.IndexFunc(x.members, func(m *member) bool { return m.name == via })
	b := *x.branches[0]
	b.name, b.hops, b.allowed = via, x.members[i].hops, b.allowed[i:i+1]
	return []*branch{&b}
}

// hops returns the hops in the order of the profile.
func (t *tree) hops() (hops []router.Hop) {
	for _, x := range t.targets {
		for _, m := range x.members {
			hops = append(hops, m.hops...)
		}
	}
	return hops
}

// members returns the files with their places in the order of the profile.
func (t *tree) members() (ms []*member) {
	for _, x := range t.targets {
		ms = append(ms, x.members...)
	}
	return ms
}

// names returns what Via, Routes and DNS can name, in the order of the profile.
func (t *tree) names() (names []string) {
	for _, x := range t.targets {
		names = append(names, x.name)
	}
	return names
}

// hint suggests the name that was meant, for the end of an error.
func (t *tree) hint(name string) string {
	names := t.names()
	if s := closest(name, names); s != "" {
		return fmt.Sprintf(": did you mean %s?", s)
	}
	return ": there are " + strings.Join(names, ", ")
}

// placeAll places every target, and checks what its hops say of its routes.
func (t *tree) placeAll() error {
	for _, x := range t.targets {
		if err := t.place(x); err != nil {
			return err
		}
		for _, m := range x.members {
			if err := t.agree(x, m.spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// agree takes OnDown, Probe and the pace from one of the hops of x. Others must
// not differ.
func (t *tree) agree(x *target, h *hopSpec) error {
	switch on := h.onDown; {
	case on == "":
	case x.onDown != "" && x.onDown != on:
		return h.fail(t.path, "OnDown", fmt.Errorf("%s, but another hop of %s says %s: the routes are the group's", on, x.name, x.onDown))
	case on == onDownReject, on == onDownDrop:
		x.onDown = on
	case t.named[on] == nil:
		return h.fail(t.path, "OnDown", fmt.Errorf("neither reject, nor drop, nor a hop: no hop is named %q%s", on, t.hint(on)))
	case t.named[on] == x:
		return h.fail(t.path, "OnDown", fmt.Errorf("%s is what is down: name another hop", on))
	default:
		x.onDown = on
	}
	switch {
	case !h.probe.IsValid():
	case !x.group:
		return h.fail(t.path, "Probe", errNoGroup)
	case x.probe.IsValid() && x.probe != h.probe:
		return h.fail(t.path, "Probe", fmt.Errorf("%s, but another hop of %s says %s: keep one", h.probe, x.name, x.probe))
	case !x.branches[0].allows(single(h.probe)):
		return h.fail(t.path, "Probe", fmt.Errorf("%s is outside the AllowedIPs of a hop of %s", h.probe, x.name))
	default:
		x.probe = h.probe
	}
	return t.agreePace(x, h)
}
