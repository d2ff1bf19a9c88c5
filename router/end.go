package router

import (
	"fmt"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// An end is the endpoint of one peer. Guarded by hop.endMu, but for what never
// changes: an endpoint that the configuration changes becomes a new end.
type end struct {
	text string // as configured; "": learned
	host string // the name to look up; "": it is none
	port uint16

	addr netip.AddrPort // what the device was given; invalid: nothing
	seen string         // what the device said last
	sets int            // how often the device was given an address

	known    bool             // the name gave an address once
	asking   bool             // a look-up is under way
	err      error            // of the last one; nil: it gave an address
	asked    time.Time        // when the last one that gave an address began
	next     time.Time        // when the next one may begin
	failures int              // look-ups since the peer was heard
	more     []netip.AddrPort // that it may be at as well

	rx     uint64    // bytes received of the peer at the first poll after asked; 0: there was none
	tx     uint64    // bytes sent to the peer
	sentAt time.Time // when they were seen to grow
}

func newEnd(endpoint string) *end {
	e := &end{text: endpoint}
	host, port, err := splitEndpoint(endpoint)
	if err != nil {
		return e // learned
	}
	if a, err := netip.ParseAddr(host); err == nil {
		e.addr = netip.AddrPortFrom(a, port)
	} else {
		e.host, e.port = host, port
	}
	return e
}

// given notes that the device was given an address.
func (e *end) given(a netip.AddrPort) {
	e.addr, e.seen = a, a.String()
	e.sets++
}

// setEnds makes the hop's ends those of peers. An end that is not changed stays;
// a name in place of another endpoint of a peer keeps the address until it has
// one of its own.
func (h *hop) setEnds(peers []Peer) {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	next := make(map[Key]*end, len(peers))
	for _, peer := range peers {
		was := h.ends[peer.PublicKey]
		if was != nil && was.text == peer.Endpoint {
			next[peer.PublicKey] = was
			continue
		}
		e := newEnd(peer.Endpoint)
		if was != nil {
			e.seen, e.sets = was.seen, was.sets
			if e.addr.IsValid() {
				e.given(e.addr)
			} else {
				e.addr = was.addr
			}
		}
		next[peer.PublicKey] = e
	}
	h.ends = next
}

// endpoint returns the address of a peer for a device that is given it now;
// invalid: none is known.
func (h *hop) endpoint(peer Key) netip.AddrPort {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	e := h.ends[peer]
	if e.addr.IsValid() {
		e.given(e.addr)
	}
	return e.addr
}

// endpointNow returns the address that a peer's device was given; invalid: none.
func (h *hop) endpointNow(peer Key) netip.AddrPort {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	if e := h.ends[peer]; e != nil {
		return e.addr
	}
	return netip.AddrPort{}
}

// endpoints returns every address at which a peer of the hop is, or may be.
func (h *hop) endpoints() []netip.Addr {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	var all []netip.Addr
	for _, e := range h.ends {
		if e.addr.IsValid() {
			all = append(all, e.addr.Addr())
		}
		if seen, err := netip.ParseAddrPort(e.seen); err == nil {
			all = append(all, seen.Addr())
		}
	}
	return all
}

// describeEnd fills in what a status says of a peer's endpoint.
func (h *hop) describeEnd(s *PeerStatus, peer Key) {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	e := h.ends[peer]
	if e == nil { // being changed
		return
	}
	if e.addr.IsValid() {
		s.Endpoint = e.addr.String()
	}
	if e.host != "" {
		s.EndpointName = e.text
		if e.err != nil {
			s.EndpointError = e.err.Error()
		}
	}
}

// point gives the device another address for a peer. The caller holds h.life.
func (h *hop) point(peer Key, to netip.AddrPort) error {
	h.endMu.Lock()
	if e := h.ends[peer]; e != nil {
		e.given(to)
	}
	h.endMu.Unlock()
	p := h.port.Load()
	if p == nil {
		return nil // its next device gets it
	}
	var u uapiText
	u.set("public_key", peer.hex())
	u.set("update_only", true)
	u.set("endpoint", to)
	if err := h.ipcSet(p, &u); err != nil {
		return fmt.Errorf("router: hop %s: endpoint %s: %w", h.name, to, err)
	}
	return nil
}

// setsOf returns how often the device was given an address for each peer.
func (h *hop) setsOf() map[Key]int {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	n := make(map[Key]int, len(h.ends))
	for key, e := range h.ends {
		n[key] = e.sets
	}
	return n
}

// heardAt returns when the device last said that it had heard a peer; zero: never.
func (h *hop) heardAt() time.Time {
	if at := h.hears.Load(); at != 0 {
		return h.r.born.Add(time.Duration(at))
	}
	return time.Time{}
}

// notice notes what the device says of its peers, and emits an event for each that
// moved by itself. sets is what setsOf returned before the device was
// asked.
func (h *hop) notice(now map[Key]polledPeer, sets map[Key]int) {
	moved := make(map[Key]netip.AddrPort)
	found := false
	h.endMu.Lock()
	for key, e := range h.ends {
		if peer := now[key]; peer.tx != e.tx {
			e.tx, e.sentAt = peer.tx, time.Now()
		}
		if e.answered(now[key]) {
			e.asked, e.next, e.failures, e.more = time.Time{}, time.Time{}, 0, nil
			found = true
		}
		at, err := netip.ParseAddrPort(now[key].endpoint)
		if err != nil || e.sets != sets[key] || e.seen == now[key].endpoint {
			continue
		}
		e.seen = now[key].endpoint
		if e.host != "" || e.text == "" {
			e.addr = at // where a restarted device begins
		}
		moved[key] = at
	}
	h.endMu.Unlock()
	if found {
		h.seek()
	}
	for key, at := range moved {
		h.r.log.Info("a peer moved", "hop", h.name, "endpoint", at)
		h.r.emit(Event{Hop: h.name, Kind: EventRoam, Peer: key.Encode(), Endpoint: at})
	}
	if len(moved) > 0 {
		h.r.refreshFar(nil)
	}
}

// answered reports whether the peer was heard since its name was looked up. The
// caller holds endMu.
func (e *end) answered(now polledPeer) bool {
	switch {
	case e.asked.IsZero():
		return false
	case now.handshake.After(e.asked):
		return true
	case e.rx == 0:
		e.rx = now.rx
		return false
	}
	return now.rx != e.rx
}

// refreshFar tells every hop of t, or of the current table, the endpoints of the
// hops that it carries.
func (r *Router) refreshFar(t *table) {
	r.farMu.Lock()
	defer r.farMu.Unlock()
	if t == nil {
		t = r.table.Load()
	}
	far := make(map[*hop]map[netip.Addr]bool, len(t.order))
	for _, h := range t.order {
		far[h] = make(map[netip.Addr]bool)
		if via := h.via(); via != nil && far[via] != nil { // carriers come first
			for _, a := range h.endpoints() {
				far[via][a] = true
			}
		}
	}
	for h, m := range far {
		h.far.Store(&m)
	}
}

// peer returns the device's peer with that key; nil: it has none.
func (p *port) peer(key Key) *device.Peer { return p.dev.LookupPeer(device.NoisePublicKey(key)) }
