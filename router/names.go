package router

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// Endpoints that are names are looked up by goroutines of their own, so that
// nothing waits for a resolver: at first when the hop is there and its carrier
// is up, with backoff until there is an address; and again when the peer was not
// heard for pace.stale though something is sent to it. The old address stays:
// handshake initiations go to the new ones as well (see seeker), and the first
// authenticated answer decides.
const (
	lookupTime    = 20 * time.Second // of one look-up
	lookupMost    = 8                // addresses that are tried
	staleAfter    = 135 * time.Second
	sendingLately = 15 * time.Second
)

// lookupBackoff returns how long to wait after n look-ups in a row: from least,
// doubled each time, to most, within a fifth of it.
func lookupBackoff(n int, least, most time.Duration) time.Duration {
	d := min(least<<min(n-1, 16), most)
	return d - d/5 + rand.N(2*d/5+1)
}

// due reports whether the end's name should be looked up now. The caller holds
// endMu.
func (e *end) due(now time.Time, heard time.Time, stale time.Duration) bool {
	switch {
	case e.host == "" || e.asking || now.Before(e.next):
		return false
	case !e.known:
		return true
	}
	return now.Sub(heard) > stale && now.Sub(e.sentAt) < sendingLately
}

// lookUpNames starts the look-ups that are due.
func (r *Router) lookUpNames(t *table) {
	now := time.Now()
	for _, h := range t.order {
		if h.isDown() || h.via() != nil && h.via().unresolved() {
			continue
		}
		h.mu.Lock()
		started := h.started
		h.mu.Unlock()
		polled := h.polled.Load()
		h.endMu.Lock()
		for key, e := range h.ends {
			heard := started
			if polled != nil && polled.peers[key].handshake.After(heard) {
				heard = polled.peers[key].handshake
			}
			if e.due(now, heard, r.stale) {
				e.asking = true
				r.goroutines.Add(1)
				go func() { // until the look-up ends, which closing does
					defer r.goroutines.Done()
					h.lookUp(key, e)
				}()
			}
		}
		h.endMu.Unlock()
	}
}

// unresolved reports whether the hop has a peer whose name has no address yet.
func (h *hop) unresolved() bool {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	for _, e := range h.ends {
		if e.host != "" && !e.addr.IsValid() {
			return true
		}
	}
	return false
}

// lookUp looks an end's name up and makes use of the answer.
func (h *hop) lookUp(peer Key, e *end) {
	ctx, cancel := context.WithTimeout(h.r.life, lookupTime)
	defer cancel()
	began := time.Now()
	found, err := h.addresses(ctx, e.host, e.port)
	if h.r.isClosing() {
		return
	}
	h.life.Lock()
	defer h.life.Unlock()
	h.endMu.Lock()
	e.asking = false
	e.failures++
	e.err = err
	first := !e.known
	least, most := 15*time.Second, 5*time.Minute
	if first {
		least, most = time.Second, time.Minute
	}
	e.next = time.Now().Add(lookupBackoff(e.failures, least, most))
	if h.ends[peer] != e { // no longer configured
		h.endMu.Unlock()
		return
	}
	var fresh []netip.AddrPort
	if err == nil {
		e.asked, e.known, e.rx = began, true, 0
		fresh = slices.DeleteFunc(found, func(a netip.AddrPort) bool { return a == e.addr })
		e.more = fresh
		first = first && len(fresh) == len(found) // else it is at one of them
		if first {
			e.more = fresh[1:]
			e.failures = 0
		}
	}
	h.endMu.Unlock()

	if err != nil {
		h.r.log.Warn("an endpoint's name could not be looked up", "hop", h.name, "endpoint", e.text, "err", err)
		return
	}
	if len(fresh) > 0 {
		h.r.log.Info("an endpoint's name has new addresses", "hop", h.name, "endpoint", e.text, "addresses", fresh)
		h.r.emit(Event{Hop: h.name, Kind: EventResolved, Peer: peer.Encode(), Endpoint: fresh[0]})
	}
	if first {
		if err := h.meet(peer, fresh[0]); err != nil {
			h.r.log.Warn("an endpoint is refused", "err", err)
		}
	}
	h.seek()
	h.r.refreshFar(nil)
}

// addresses returns those of a name at which the hop's peer may be, none twice.
func (h *hop) addresses(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	lookup := h.r.opts.Resolve
	if lookup == nil {
		lookup = func(ctx context.Context, _, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	all, err := lookup(ctx, h.name, host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	var found []netip.AddrPort
	for _, a := range all {
		at := netip.AddrPortFrom(a.Unmap().WithZone(""), port)
		if len(found) < lookupMost && at.IsValid() && h.canReach(at.Addr()) && !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no address that %s", host, reachable(h.via()))
	}
	return found, nil
}

// canReach reports whether the hop's carrier takes datagrams to a.
func (h *hop) canReach(a netip.Addr) bool {
	via := h.via()
	return via == nil || via.conf().reaches(a, "") == nil
}

func reachable(via *hop) string {
	if via == nil {
		return "can be used: the look-up found none"
	}
	return "hop " + via.name + " reaches: none is in its AllowedIPs and of a family that it has an address of"
}

// meet gives the device the first address of a peer. What waits for it is sent at
// once. The caller holds h.life.
func (h *hop) meet(peer Key, at netip.AddrPort) error {
	if p := h.port.Load(); p != nil && !h.hadSession(peer) {
		if q := p.peer(peer); q != nil {
			q.ExpireCurrentKeypairs() // or it would wait for the next of the tries that failed
		}
	}
	return h.point(peer, at)
}

// seek tells the transport the addresses that are to be tried.
func (h *hop) seek() {
	p := h.port.Load()
	if p == nil {
		return
	}
	more := make(map[string][]conn.Endpoint)
	h.endMu.Lock()
	defer h.endMu.Unlock()
	for _, e := range h.ends {
		var others []conn.Endpoint
		for _, a := range e.more {
			if ep, err := p.seeker.ParseEndpoint(a.String()); err == nil && a.String() != e.seen {
				others = append(others, ep)
			}
		}
		if len(others) > 0 {
			more[e.addr.String()], more[e.seen] = others, others
		}
	}
	if len(more) == 0 {
		p.seeker.more.Store(nil)
	} else {
		p.seeker.more.Store(&more)
	}
}

// hastenNames makes the look-ups due of the hops that h carries, and have no
// address yet: h has a session now.
func (r *Router) hastenNames(h *hop) {
	for _, child := range r.table.Load().order {
		if child.via() == h {
			child.retryNames()
		}
	}
}

// retryNames makes the hop's look-ups due.
func (h *hop) retryNames() {
	h.endMu.Lock()
	for _, e := range h.ends {
		e.next = time.Time{}
	}
	h.endMu.Unlock()
}
