package router

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A simulated group is looked after once a second of a clock of its own.
type simulated struct {
	*group
	now time.Time
}

func newSimulated(n int, cfg Group) *simulated {
	s := &simulated{group: &group{cfg: &cfg, past: &groupPast{health: make(map[*hop]*health)}}}
	for _, h := range bareHops(n) {
		s.views = append(s.views, &view{hop: h})
	}
	s.now = s.views[0].hop.r.born.Add(24 * time.Hour)
	s.active.Store(s.views[0])
	return s
}

// hear has the peers of those hops say something right after now.
func (s *simulated) hear(hops ...int) {
	for _, i := range hops {
		h := s.views[i].hop
		h.hears.Store(int64(s.now.Sub(h.r.born) + time.Millisecond))
	}
}

// tick lets a second pass, and returns which hops are probed then, and which is to
// take over; -1: none.
func (s *simulated) tick() (probed []int, next int) {
	s.now = s.now.Add(time.Second)
	for _, v := range s.views {
		s.look(v.hop, s.now)
	}
	for _, h := range s.watch(s.now) {
		probed = append(probed, slices.IndexFunc(s.views, func(v *view) bool { return v.hop == h }))
	}
	v, _ := s.choose(s.now)
	return probed, slices.Index(s.views, v)
}

// TestReturn: a preferred hop that was good for long enough takes over again, but
// not on what was heard from it long ago.
func TestReturn(t *testing.T) {
	for _, answers := range []bool{true, false} {
		s := newSimulated(2, Group{Quiet: 20 * time.Second, Patience: 8 * time.Second, Return: 12 * time.Second})
		s.active.Store(s.views[1])
		s.hear(0, 1) // and the first dies
		asked, back := 0, 0
		for second := 1; second <= 60; second++ {
			probed, next := s.tick()
			s.hear(1)
			if slices.Contains(probed, 0) {
				if asked == 0 {
					asked = second
				}
				if answers {
					s.hear(0)
				}
			}
			if next == 0 && back == 0 {
				back = second
			}
		}
		if asked != 13 {
			t.Errorf("asked after %d s, want 13", asked)
		}
		if want := map[bool]int{true: 14, false: 0}[answers]; back != want {
			t.Errorf("answers %v: took over after %d s, want %d", answers, back, want)
		}
	}
}

// TestTakeover: of the others, the first that answers now takes over.
func TestTakeover(t *testing.T) {
	s := newSimulated(3, Group{Quiet: 10 * time.Second, Patience: 60 * time.Second, Return: time.Minute})
	s.hear(0, 1, 2)
	took := -1
	for second := 1; second <= 120 && took < 0; second++ {
		var probed []int
		if probed, took = s.tick(); slices.Contains(probed, 2) {
			s.hear(2)
		}
		if second < 20 && slices.Contains(probed, 1) { // then it dies, too
			s.hear(1)
		}
	}
	if took != 2 {
		t.Errorf("hop %d took over, want 2: 1 has been silent for as long as 0", took)
	}
}

// TestRestForgets: of a hop that nothing is expected of, nothing is known in the
// end.
func TestRestForgets(t *testing.T) {
	s := newSimulated(2, Group{Quiet: 10 * time.Second, Patience: 15 * time.Second, Return: time.Minute})
	s.hear(0, 1)
	for second := 1; second <= 60; second++ {
		s.tick()
		s.hear(0)
		want := HealthGood
		if second > 17 {
			want = HealthUnknown
		}
		if got, _ := s.past.of(s.views[1].hop).state(s.views[1].hop, s.cfg); got != want {
			t.Fatalf("after %d s: %s, want %s", second, got, want)
		}
	}
}

// TestPingsEnd: a Probe that a group has no more is not pinged, nor is one through
// a hop that has left.
func TestPingsEnd(t *testing.T) {
	probe := netip.MustParseAddr("203.0.114.1")
	s := newSimulated(2, Group{Quiet: time.Second, Patience: 8 * time.Second, Return: time.Minute, Probe: probe})
	pings := func() (n int) {
		for _, v := range s.views {
			n += len(*v.hop.pings.Load())
		}
		return n
	}
	s.tick()
	if n := pings(); n != 2 {
		t.Fatalf("detector: %d series of pings, want one a hop", n)
	}
	all := s.views
	s.keep(&group{views: all[:1]})
	if n := pings(); n != 1 || len(s.past.health) != 1 {
		t.Errorf("a hop left: %d series, %d hops known; want those of the other", n, len(s.past.health))
	}
	s.tick()
	s.cfg.Probe = netip.Addr{}
	s.tick()
	if n := pings(); n != 0 {
		t.Errorf("%d series without Probe", n)
	}
	s.cfg.Probe = probe
	s.tick()
	s.keep(nil)
	if n := pings(); n != 0 {
		t.Errorf("%d series without group", n)
	}
}
