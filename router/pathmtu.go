package router

import (
	"net/netip"
	"time"

	wgtun "golang.zx2c4.com/wireguard/tun"
)

// learnedFor is how long a smaller path MTU is believed (RFC 1191, section
// 6.3; RFC 8201, section 4).
const learnedFor = 10 * time.Minute

// Floors of a path MTU that is reported, whatever the report says.
const (
	floorMTU4 = 576  // RFC 791: every host takes it whole
	floorMTU6 = 1280 // RFC 8200, section 5
)

// learnMTU is told of the path MTU that a router, or the host's own kernel,
// reported for a datagram of h to dst. It lowers h's MTU, and that of every hop that h carries, until
// it is forgotten. It never raises it. A nil h, the user of a socket that is no
// link, learns nothing.
func (h *hop) learnMTU(reported int, dst netip.Addr) {
	if h == nil {
		return
	}
	floor := floorMTU4
	if dst.Is6() {
		floor = floorMTU6
	}
	reported = max(reported, floor)
	h.mu.Lock()
	lower := h.pathMTU == 0 || reported < h.pathMTU
	if lower {
		h.pathMTU = reported
	}
	if reported <= h.pathMTU {
		h.pathEnds = time.Now().Add(learnedFor)
	}
	h.mu.Unlock()
	if lower {
		h.r.kickSupervisor()
	}
}

// knownPath returns the learned path MTU of h's datagrams; 0: none.
func (h *hop) knownPath() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pathMTU != 0 && time.Now().After(h.pathEnds) {
		h.pathMTU = 0
	}
	return h.pathMTU
}

// currentMTU returns what the hop's MTU should be now. That of its carrier must
// be up to date.
func (h *hop) currentMTU() int {
	cfg := h.conf()
	if cfg.Fragment {
		return cfg.MTU // a smaller path only makes more fragments
	}
	m := cfg.MTU
	if cfg.via != nil {
		m = min(m, cfg.via.mtu()-cfg.over)
	}
	if known := h.knownPath(); known != 0 {
		m = min(m, known-cfg.over)
	}
	return max(m, minMTU)
}

// refreshMTUs brings the hops' MTUs up to date, carriers first.
func (r *Router) refreshMTUs(t *table) {
	for _, h := range t.order {
		old, now := h.mtu(), h.currentMTU()
		if now == old {
			continue
		}
		h.mtuNow.Store(int32(now))
		if p := h.port.Load(); p != nil {
			p.generation.Add(1) // what waits in the ring is looked at again
			p.tellMTU()
		}
		r.log.Info("MTU", "hop", h.name, "mtu", now, "was", old)
		r.emit(Event{Hop: h.name, Kind: EventMTU, MTU: now})
	}
}

// tellMTU makes the device ask for the MTU again: it caps the padding there.
func (p *port) tellMTU() {
	p.eventMu.Lock()
	defer p.eventMu.Unlock()
	select {
	case <-p.stop: // events is closed
	default:
		select {
		case p.events <- wgtun.EventMTUUpdate:
		default: // one waits already
		}
	}
}
