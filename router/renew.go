package router

import (
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// While a carrier has no session, its device keeps what it is to send, handshakes
// of the hops that it carries too. Once it has one they all leave at once, and the
// far end answers the oldest, which the hop's device has replaced meanwhile, and
// takes no other one for 20 ms. The next would come up to 5 s later. So a hop that
// asked in vain before its carrier's handshake asks anew shortly after it.
const (
	renewAfter  = 500 * time.Millisecond // for an answer that is on its way
	renewWithin = 10 * time.Second
)

// renewHandshakes begins the handshakes that are due for that reason.
func (r *Router) renewHandshakes(t *table) {
	now := time.Now()
	for _, h := range t.order {
		via := h.via()
		if p := h.port.Load(); p != nil && via != nil && !h.isDown() &&
			h.polled.Load().inVain(r, time.Unix(0, p.seeker.asked.Load()), via.polled.Load().latest(), now) {
			r.shake(h, p, true)
		}
	}
}

// inVain reports whether a hop of which p is known, whose carrier's last handshake
// was at carried, asked for one before that, and has none still. asked is when it
// asked last.
func (p *poll) inVain(r *Router, asked, carried, now time.Time) bool {
	if p == nil || asked.UnixNano() == 0 || !asked.Before(carried) || now.Sub(carried) > renewWithin {
		return false
	}
	known := r.born.Add(time.Duration(p.at))
	return known.Sub(carried) > renewAfter && p.latest().Before(asked) && !p.alive(now)
}

// latest returns when the last handshake with any peer was; zero: there was none.
func (p *poll) latest() (at time.Time) {
	if p == nil {
		return at
	}
	for _, peer := range p.peers {
		if peer.handshake.After(at) {
			at = peer.handshake
		}
	}
	return at
}

// alive reports whether there may be a session with one of the peers.
func (p *poll) alive(now time.Time) bool { return now.Sub(p.latest()) < device.RejectAfterTime }
