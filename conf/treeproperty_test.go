package conf

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTreeOracle gives random trees random AllowedIPs and Routes of a small
// universe, and judges every prefix by naive rules.
func TestTreeOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	accepted := 0
	for range 600 {
		w := randomWorld(r)
		c, err := w.load()
		if err != nil {
			if !w.conflicts() || !strings.Contains(err.Error(), ": give one of them Routes without it") {
				t.Fatalf("%v\nrefused: %v", w, err)
			}
			continue
		}
		accepted++
		if w.conflicts() {
			t.Fatalf("%v\naccepted two hops with one route", w)
		}
		w.check(t, c)
	}
	if accepted < 100 {
		t.Errorf("only %d trees were accepted", accepted)
	}
}

// A world is a random profile: hop i, or group of hops, is carried by via[i], one
// of those before it, or by none (-1).
type world struct {
	via     []int
	allowed [][][]netip.Prefix // of each hop of a group; one: a hop
	routes  [][]netip.Prefix   // nil: not given
	covered []bitmap           // by what each wants
}

func randomWorld(r *rand.Rand) *world {
	w := new(world)
	for i := range 2 + r.IntN(5) {
		w.via = append(w.via, r.IntN(i+1)-1)
		members := [][]netip.Prefix{randomAllowed(r)}
		for range max(0, r.IntN(4)-1) { // half of them are groups
			members = append(members, randomAllowed(r))
		}
		w.allowed, w.routes = append(w.allowed, members), append(w.routes, nil)
		if all := w.wants(i); r.IntN(3) == 0 && len(all) > 0 {
			w.routes[i] = []netip.Prefix{all[r.IntN(len(all))]}
		}
		var m bitmap
		for _, p := range w.wants(i) {
			m.add(p)
		}
		w.covered = append(w.covered, m)
	}
	return w
}

func randomAllowed(r *rand.Rand) (allowed []netip.Prefix) {
	for range 1 + r.IntN(3) {
		if p := randomPrefix(r).Masked(); !slices.Contains(allowed, p) {
			allowed = append(allowed, p)
		}
	}
	return allowed
}

// hop names the k-th hop of i.
func (w *world) hop(i, k int) string {
	if len(w.allowed[i]) == 1 {
		return fmt.Sprintf("h%d", i)
	}
	return fmt.Sprintf("h%d.%d", i, k)
}

// all returns the addresses that every hop of i has.
func (w *world) all(i int) (m bitmap) {
	has := make([]bitmap, len(w.allowed[i]))
	for k, allowed := range w.allowed[i] {
		for _, p := range allowed {
			has[k].add(p)
		}
	}
	for f := range m {
		for a := range m[f] {
			m[f][a] = !slices.ContainsFunc(has, func(h bitmap) bool { return !h[f][a] })
		}
	}
	return m
}

func (w *world) String() string {
	return fmt.Sprintf("via %v\nallowed %v\nroutes %v", w.via, w.allowed, w.routes)
}

func (w *world) load() (*Instance, error) {
	var text strings.Builder
	for i, via := range w.via {
		var files []string
		for k := range w.allowed[i] {
			files = append(files, w.hop(i, k))
		}
		fmt.Fprintf(&text, "[Hop]\nName = h%d\nConfig = %s\n", i, strings.Join(files, ", "))
		if via >= 0 {
			fmt.Fprintf(&text, "Via = h%d\n", via)
		}
		if w.routes[i] != nil {
			fmt.Fprintf(&text, "Routes = %s\n", joinPrefixes(w.routes[i]))
		}
	}
	p, errs := parseProfile("p.conf", text.String(), false)
	if errs != nil {
		return nil, errs[0]
	}
	c := new(Instance)
	tree, errs := p.tree(c, func(path string) (*File, []error) {
		var i, k int
		if n, err := fmt.Sscanf(filepath.Base(path), "h%d.%d", &i, &k); n == 0 {
			return nil, []error{err}
		}
		return parseAll(path, strings.NewReader(wg(path, joinPrefixes(w.allowed[i][k]))))
	})
	if errs != nil {
		return nil, errs[0]
	}
	if err := tree.placeAll(); err != nil {
		return nil, err
	}
	if err := tree.giveRoutes(c); err != nil {
		return nil, err
	}
	return c, tree.fill(c, p.settings, new(Overrides))
}

// carries reports whether hop a carries hop b, directly or not.
func (w *world) carries(a, b int) bool {
	for via := w.via[b]; via >= 0; via = w.via[via] {
		if via == a {
			return true
		}
	}
	return false
}

// wants returns what hop i would route by itself: what all hops of a group have,
// whichever of them names it.
func (w *world) wants(i int) (wants []netip.Prefix) {
	if w.routes[i] != nil {
		return w.routes[i]
	}
	all := w.all(i)
	for _, p := range slices.Concat(w.allowed[i]...) {
		if all.covers(p) && !slices.Contains(wants, p) {
			wants = append(wants, p)
		}
	}
	return wants
}

// yields reports whether hop i leaves p to another.
func (w *world) yields(i int, p netip.Prefix) bool {
	if w.routes[i] != nil {
		return false
	}
	for j := range w.via {
		if w.carries(i, j) && w.covered[j].covers(p) {
			return true
		}
		if w.carries(j, i) && slices.Contains(w.routes[j], p) {
			return true
		}
	}
	return false
}

// conflicts reports whether two hops keep the same prefix.
func (w *world) conflicts() bool {
	kept := make(map[netip.Prefix]int)
	for i := range w.via {
		for _, p := range w.wants(i) {
			if w.yields(i, p) {
				continue
			}
			if j, ok := kept[p]; ok && j != i {
				return true
			}
			kept[p] = i
		}
	}
	return false
}

func (w *world) check(t *testing.T, c *Instance) {
	t.Helper()
	var want, got []string
	for i := range w.via {
		for _, p := range w.wants(i) {
			kind := "route"
			if w.yields(i, p) {
				kind = "left"
			}
			want = append(want, fmt.Sprintf("%s h%d %s", kind, i, p))
		}
		all := w.all(i)
		for k, allowed := range w.allowed[i] {
			for _, p := range allowed {
				if w.routes[i] == nil && !all.covers(p) {
					want = append(want, fmt.Sprintf("left %s %s", w.hop(i, k), p))
				}
			}
		}
	}
	for _, r := range c.Config.Routes {
		got = append(got, fmt.Sprintf("route %s %s", r.Hop, r.Prefix))
	}
	for _, l := range c.LeftOut {
		got = append(got, fmt.Sprintf("left %s %s", l.Hop, l.Prefix))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Fatalf("%v\ngot  %v\nwant %v", w, got, want)
	}
	for i := range w.via {
		w.checkAddresses(t, c, i)
	}
}

// checkAddresses checks that no address is lost: hop i routes, or says that it
// leaves to another, exactly those that all its hops have.
func (w *world) checkAddresses(t *testing.T, c *Instance, i int) {
	t.Helper()
	name := fmt.Sprintf("h%d", i)
	if w.routes[i] != nil {
		return
	}
	var got bitmap
	for _, r := range c.Config.Routes {
		if r.Hop == name {
			got.add(r.Prefix)
		}
	}
	for _, l := range c.LeftOut {
		if l.Hop == name {
			got.add(l.Prefix)
		}
	}
	if want := w.all(i); got != want {
		t.Fatalf("%v\n%s has addresses %v, want %v", w, name, got, want)
	}
}
