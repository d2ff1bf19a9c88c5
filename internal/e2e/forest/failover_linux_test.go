package forest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"multihop/internal/netlab"
)

const (
	// recovery is how long a group may take to serve again. It notices silence after
	// 10 s, is patient for 15 s, and looks once a second; but a relay that nothing
	// reaches says so, by beginning a handshake, only after 15 s, and is taken for
	// healthy so long if what is behind it goes on sending. And the machine is busy.
	recovery = 60 * time.Second

	// flapping is how long a hop comes and goes: twice.
	flapping = 20 * time.Second
)

// A death is a group whose first hop dies.
type death struct {
	name          string // who, and how
	group         string
	first, second *hop
	seen          *hop // that the site is reached by, before
	then          *hop // and after
	kill          func(t *testing.T)
	why           string // the group's reason
	stream        *stream
	at            time.Time
}

// A wood is a grove with everything of TestFailover.
type wood struct {
	*grove
	rest    *relay       // of all hops that do not die
	sites   map[*hop]int // that lead to one: its number
	steady  []*hop       // in no group: one per level
	deaths  []*death
	exits   []string // groups carried by one of which a hop dies
	flapper *relay
	flap    [2]*hop
}

// lead gives a hop a site of its own.
func (w *wood) lead(h *hop) {
	w.sites[h] = len(w.sites) + 1
	h.routes = only(w.sites[h])
}

// group adds a group of two hops: the first at a relay of its own, if there is one.
func (w *wood) group(name, via string, r *relay) (first, second *hop) {
	first, second = w.hop(name+"-a", via, r), w.hop(name+"-b", via, w.rest)
	first.group, second.group = name, name
	return first, second
}

// newWood plants, for each way to die, an entry that has a stand-in and carries a
// group of exits, an exit that has one, and a sibling at the third level.
func newWood(t *testing.T) *wood {
	t.Helper()
	g := newGrove(t)
	w := &wood{grove: g, rest: g.relay("rest"), sites: make(map[*hop]int)}
	w.steady = []*hop{w.hop("base", "", w.rest), w.hop("mid", "base", w.rest), w.hop("leaf", "mid", w.rest)}
	for _, h := range w.steady {
		w.lead(h)
	}
	for _, way := range []struct {
		name string
		kill func(t *testing.T, r *relay)
	}{
		{"ends", func(_ *testing.T, r *relay) { r.Kill() }},
		{"silent", func(t *testing.T, r *relay) { w.cut(t, r, true) }},
		{"refuses", func(t *testing.T, r *relay) {
			if err := r.SetPeers(r.peers(netlab.NewKey())); err != nil {
				t.Error(err)
			}
		}},
	} {
		w.dies("entry", way.name, "", "", way.kill)
		w.dies("exit", way.name, "base", ", though its carrier base does", way.kill)
		w.dies("sibling", way.name, "mid", ", though its carrier mid does", way.kill)
	}
	w.flapper = w.relay("flapper")
	w.flap[0], w.flap[1] = w.group("flap", "base", w.flapper)
	w.lead(w.flap[0])
	w.startRelays(t)
	return w
}

// dies adds a death. Behind an entry the site is that of an exit, which has a
// stand-in too, and has to stay.
func (w *wood) dies(who, way, via, carrier string, kill func(*testing.T, *relay)) {
	victim := w.relay(who + "-" + way)
	d := &death{name: who + " " + way, group: victim.name, kill: func(t *testing.T) { kill(t, victim) }}
	d.first, d.second = w.group(d.group, via, victim)
	d.why = fmt.Sprintf("hop %s: it does not answer handshakes%s", d.first.name, carrier)
	d.seen, d.then = d.first, d.second
	if who == "entry" {
		exit := "inside-" + way
		d.seen, _ = w.group(exit, d.group, w.rest)
		d.then = d.seen
		w.exits = append(w.exits, exit)
	}
	w.lead(d.seen)
	w.deaths = append(w.deaths, d)
}

// streams starts one to the site of each hop that leads to one, in either family,
// once all of them answer.
func (w *wood) streams(t *testing.T) map[*hop]*stream {
	t.Helper()
	for h, n := range w.sites {
		w.answered(t, site(n).V4, h.addrs.V4)
	}
	r := w.record(t)
	all := make(map[*hop]*stream)
	for h, n := range w.sites {
		all[h] = w.stream(t, r, uint32(n), site(n).Both()[n%2])
	}
	for _, d := range w.deaths {
		d.stream = all[d.seen]
	}
	return all
}

// TestFailover: relays of an entry, an exit, and one of two siblings at the third
// level die: their process ends, the path to them goes silent, they refuse the key.
// Each has a stand-in, which takes over with a session of its own; the hop that died
// is blamed, nothing else moves, and flows beside see nothing. A hop that comes and
// goes does not make its group do so.
func TestFailover(t *testing.T) {
	t.Parallel()
	w := newWood(t)
	i := start(t, w.client, w.programs, w.profile(t, w.hops...))
	streams := w.streams(t)
	time.Sleep(time.Second)

	for _, d := range w.deaths {
		d.at = time.Now()
		d.kill(t)
	}
	w.cut(t, w.flapper, true)
	flapped := make(chan struct{})
	go func() {
		defer close(flapped)
		w.flaps(t, streams[w.flap[0]])
	}()
	defer func() { <-flapped }() // also where the test gives up
	for _, d := range w.deaths {
		w.recovers(t, i, d)
	}
	<-flapped

	for _, h := range w.steady {
		streams[h].end()
		if err := streams[h].whole(h.addrs.Of(streams[h].to)); err != nil {
			t.Errorf("hop %s, beside: %v", h.name, err)
		}
	}
	for _, d := range w.deaths {
		d.stream.end()
	}
	time.Sleep(time.Second)
	for _, d := range w.deaths {
		silent, lost := d.stream.gap(d.at)
		t.Logf("%-16s serves again after %.1f s, %d packets of 50 a second lost", d.name, silent.Seconds(), lost)
	}
	w.checkSwitches(t, i)
}

// recovers waits until a group serves again, and checks who was blamed, and that
// the stand-in had a session before it took over.
func (w *wood) recovers(t *testing.T, i *instance, d *death) {
	t.Helper()
	var g *groupStatus
	for {
		if g = i.status(t).group(t, d.group); g.Active == d.second.name {
			break
		}
		if time.Since(d.at) > recovery {
			t.Errorf("%s: nobody took over: %+v", d.name, g)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	if !d.stream.from(d.then.addrs.Of(d.stream.to), 10*time.Second) {
		t.Errorf("%s: nothing arrives from %s", d.name, d.then.name)
	}
	if g.Reason != d.why {
		t.Errorf("%s: the reason is %q, want %q", d.name, g.Reason, d.why)
	}
	before, _, _ := strings.Cut(i.Output(), "another hop serves\" group="+d.group)
	if !strings.Contains(before, "msg=handshake hop="+d.second.name) {
		t.Errorf("%s: the stand-in had no session when it took over", d.name)
	}
}

// flaps lets the hop of a group that has lost it come and go, which must not move
// the group back.
func (w *wood) flaps(t *testing.T, s *stream) {
	t.Helper()
	if then := w.flap[1]; !s.from(then.addrs.Of(s.to), recovery) {
		t.Errorf("flap: nothing arrives from %s", then.name)
	}
	for end := time.Now().Add(flapping); time.Now().Before(end); {
		w.cut(t, w.flapper, false)
		time.Sleep(6 * time.Second) // handshakes are tried every 5 s: it is heard
		w.cut(t, w.flapper, true)
		time.Sleep(5 * time.Second)
	}
	s.end()
}

// checkSwitches checks that each group that lost a hop moved once, and no other one.
func (w *wood) checkSwitches(t *testing.T, i *instance) {
	t.Helper()
	moves := make(map[string][]string)
	for line := range strings.Lines(i.Output()) {
		if !strings.Contains(line, "another hop serves") {
			continue
		}
		group := field(line, "group")
		moves[group] = append(moves[group], field(line, "hop"))
	}
	want := map[string]string{"flap": "flap-b"}
	for _, d := range w.deaths {
		want[d.group] = d.second.name
	}
	for group, hop := range want {
		if got := moves[group]; len(got) != 1 || got[0] != hop {
			t.Errorf("group %s moved to %v, want %s, once", group, got, hop)
		}
		delete(moves, group)
	}
	if len(moves) > 0 {
		t.Errorf("groups moved that had lost no hop: %v", moves)
	}
	s := i.status(t)
	for _, exit := range w.exits {
		if g := s.group(t, exit); g.Active != exit+"-a" || !g.Since.IsZero() {
			t.Errorf("group %s, inside one that moved: %+v", exit, g)
		}
	}
}

// field returns the value of key=value in a line of the log.
func field(line, key string) string {
	_, rest, _ := strings.Cut(line, " "+key+"=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}
