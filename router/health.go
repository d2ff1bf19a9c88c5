package router

import (
	"fmt"
	"time"
)

// A health is what a group knows of one of its hops. Guarded by groupPast.mu.
type health struct {
	heard   time.Time     // when its peer was last heard or, where there is a Probe, what is behind it
	good    time.Time     // since when it has been heard without doubt; zero: it is not
	doubt   time.Time     // since when it has been probed in vain; zero: it is not
	asked   time.Time     // when it was last probed because it may take over again
	counted time.Time     // when silence was last added to
	silence time.Duration // of doubt, while its carriers were heard
	why     string        // why its silence does not count
	relapse int           // how often it was left, lately
	in      uint64        // packets that came through it
	ping    *ping         // nil: there is no Probe
}

const (
	// answerTime is what a probe may take: WireGuard sends a handshake every 5 s
	// at most, and what devices heard is looked at every second.
	answerTime = 7 * time.Second

	// briefDoubt is how long the active hop may be in doubt before the others are
	// probed.
	briefDoubt = 3 * time.Second

	// Return is doubled with each relapse, so often at most, until a hop has been
	// good for so many times Return.
	maxRelapse = 4
	forgiven   = 10
)

// hold is how long a hop must have been good before it takes over again.
func (x *health) hold(g *Group) time.Duration {
	return g.Return << max(min(x.relapse, maxRelapse)-1, 0)
}

// look brings the health of a hop up to date.
func (x *health) look(h *hop, g *Group, now time.Time) {
	if heard := x.evidence(h, g, now); heard.After(x.heard) {
		x.heard = heard
		x.doubt, x.silence, x.why = time.Time{}, 0, ""
		if x.good.IsZero() {
			x.good = now
		}
	}
	switch {
	case h.isDown():
		x.doubt, x.good, x.silence = time.Time{}, time.Time{}, 0
		return
	case x.doubt.IsZero():
		if !x.good.IsZero() && now.Sub(x.good) > forgiven*g.Return {
			x.relapse = 0
		}
		return
	case now.Sub(x.doubt) > answerTime:
		x.good = time.Time{}
	}
	if x.why = h.blame(x.doubt, now); x.why != "" {
		x.silence = 0
	} else {
		x.silence += now.Sub(x.counted)
	}
	x.counted = now
}

// evidence returns when it was last certain that the hop works.
func (x *health) evidence(h *hop, g *Group, now time.Time) time.Time {
	if !g.Probe.IsValid() {
		return h.heardAt()
	}
	if in := h.in.Load() + h.carried.Load(); in != x.in {
		x.in = in
		return now
	}
	return x.ping.heardAt(h.r)
}

// blame returns why the hop's silence since some time says nothing about the hop
// itself: a carrier was not heard since; "": they all were.
func (h *hop) blame(since, now time.Time) string {
	for c := h.via(); c != nil; c = c.via() {
		if at := c.heardAt(); at.Before(since) || now.Sub(at) > answerTime {
			return "its carrier " + c.name + " is not heard either"
		}
	}
	return ""
}

// expect reports whether the hop must be probed, and puts it in doubt then: it
// was not heard for long, or is in doubt.
func (x *health) expect(h *hop, g *Group, now time.Time) bool {
	if h.isDown() || x.doubt.IsZero() && now.Sub(x.heard) < g.Quiet {
		return false
	}
	if x.doubt.IsZero() {
		x.doubt, x.counted = now, now
	}
	return true
}

// isDue reports whether a preferred hop has been good for long enough to take over
// again.
func (x *health) isDue(h *hop, g *Group, now time.Time) bool {
	return !h.isDown() && x.doubt.IsZero() && !x.good.IsZero() && now.Sub(x.good) >= x.hold(g)
}

// askAgain reports whether a preferred hop that is due must be probed: what was
// heard from it may be as old as Quiet. It is in doubt until it answers.
func (x *health) askAgain(h *hop, g *Group, now time.Time) bool {
	if !x.isDue(h, g, now) || now.Sub(x.asked) < answerTime {
		return false
	}
	x.asked, x.doubt, x.counted = now, now, now
	return true
}

// rest forgets the doubts about a hop that nothing is expected of, and in time
// that it was good.
func (x *health) rest(g *Group, now time.Time) {
	x.doubt, x.silence, x.why = time.Time{}, 0, ""
	if now.Sub(x.heard) > g.Quiet+answerTime {
		x.good = time.Time{}
	}
}

func (x *health) silent(g *Group) bool { return !x.doubt.IsZero() && x.silence >= g.Patience }

// state says it in a word, and why.
func (x *health) state(h *hop, g *Group) (Health, string) {
	switch down, why := h.downReason(); {
	case down:
		return HealthDown, why
	case x.silent(g):
		return HealthSilent, x.silentReason(h, g)
	case !x.doubt.IsZero() && !x.heard.IsZero() || x.why != "":
		return HealthDoubt, x.why
	case x.good.IsZero():
		return HealthUnknown, ""
	}
	return HealthGood, ""
}

func (x *health) silentReason(h *hop, g *Group) string {
	why := "it does not answer handshakes"
	if g.Probe.IsValid() {
		why = fmt.Sprintf("%v does not answer through it", g.Probe)
	}
	if via := h.via(); via != nil {
		why += ", though its carrier " + via.name + " does"
	}
	return why
}
