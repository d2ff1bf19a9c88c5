package router

import (
	"net/netip"
	"slices"
	"time"
)

// A Status is a snapshot of a Router. Handshake times, endpoints and byte
// counts come from the last poll of each device; HopStatus.Age says how old
// that is.
type Status struct {
	TUN   string            `json:"tun"` // the device's name; "": none is set
	Addrs []netip.Addr      `json:"addrs"`
	MTU   int               `json:"mtu"`
	Hops  []HopStatus       `json:"hops"`  // carriers first
	Drops map[string]uint64 `json:"drops"` // packets that belong to no hop, or to one removed since, by reason
	Gone  uint64            `json:"gone"`  // packets of the TUN that left through hops removed since
	Read  uint64            `json:"read"`  // packets read from the TUN
	Wrote uint64            `json:"wrote"` // packets written to the TUN
}

// A HopStatus is the state of one hop.
type HopStatus struct {
	Name       string        `json:"name"`
	Via        string        `json:"via,omitempty"` // "": the host's network
	Down       bool          `json:"down"`
	Reason     string        `json:"reason,omitempty"` // why it is down
	PublicKey  string        `json:"public_key"`       // base64
	ListenPort uint16        `json:"listen_port"`
	Addrs      []netip.Addr  `json:"addrs"`
	MTU        int           `json:"mtu"`
	Age        time.Duration `json:"age"` // since the device was last asked
	Peers      []PeerStatus  `json:"peers"`

	Out       uint64 `json:"out"`                 // packets of the TUN that went to the device
	In        uint64 `json:"in"`                  // packets from the peer that reached the TUN
	Carried   uint64 `json:"carried"`             // packets from the peer for hops that this one carries
	Fragments int    `json:"fragments,omitempty"` // packets of its carrier that a full one becomes, if its link fragments

	Split uint64            `json:"split"` // packets that fragmenting added to those of the TUN
	Drops map[string]uint64 `json:"drops"`
}

// A PeerStatus is the state of one peer of a hop.
type PeerStatus struct {
	PublicKey       string         `json:"public_key"` // base64
	Preshared       bool           `json:"preshared"`
	Endpoint        string         `json:"endpoint,omitempty"`
	AllowedIPs      []netip.Prefix `json:"allowed_ips"`
	LatestHandshake time.Time      `json:"latest_handshake,omitzero"` // zero: none yet
	RxBytes         uint64         `json:"rx_bytes"`
	TxBytes         uint64         `json:"tx_bytes"`
	Keepalive       time.Duration  `json:"keepalive"`
}

// A Flow is what Explain is asked about. Zero fields are not considered.
type Flow struct {
	Dst netip.Addr
}

// An Explanation says what the data path does with a packet of a Flow.
type Explanation struct {
	Dst    netip.Addr     `json:"dst"`
	Route  netip.Prefix   `json:"route,omitzero"` // the longest prefix; invalid: none
	Path   []ExplainedHop `json:"path,omitempty"` // outermost (host's network) first
	Src    netip.Addr     `json:"src,omitzero"`   // address of the TUN that the program uses
	NAT    netip.Addr     `json:"nat,omitzero"`   // source that the destination sees
	MTU    int            `json:"mtu,omitempty"`
	Drop   string         `json:"drop,omitempty"` // counter's name if it is not delivered
	Reason string         `json:"reason,omitempty"`
}

// An ExplainedHop is one layer of an Explanation.
type ExplainedHop struct {
	Name            string    `json:"name"`
	Endpoint        string    `json:"endpoint,omitempty"`
	MTU             int       `json:"mtu"`
	LatestHandshake time.Time `json:"latest_handshake,omitzero"`
	Down            bool      `json:"down"`
	Reason          string    `json:"reason,omitempty"`
}

// An Event is a change of a hop's state.
type Event struct {
	Time   time.Time
	Hop    string
	Kind   EventKind
	Reason string // of EventDown
	MTU    int    // of EventMTU: the new one
}

// An EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventUp        EventKind = "up"        // the hop works again, or was started
	EventDown      EventKind = "down"      // its routes reject; Reason says why
	EventHandshake EventKind = "handshake" // a session was made or renewed
	EventMTU       EventKind = "mtu"       // a smaller path MTU was learned, or forgotten
)

// hop returns the hop of that name; nil: there is none.
func (t *table) hop(name string) *hop {
	for _, h := range t.order {
		if h.name == name {
			return h
		}
	}
	return nil
}

// Status returns a snapshot. It never waits for a device.
func (r *Router) Status() Status {
	t := r.table.Load()
	s := Status{
		Addrs: t.addrs,
		MTU:   t.mtu,
		Drops: r.drops.snapshot(),
		Read:  r.read.Load(),
		Wrote: r.wrote.Load(),
		Gone:  r.gone.Load(),
		Hops:  make([]HopStatus, 0, len(t.order)),
	}
	if set := r.tun.Load(); set != nil {
		s.TUN = set.name
	}
	for _, h := range t.order {
		s.Hops = append(s.Hops, h.status())
	}
	return s
}

func (h *hop) status() HopStatus {
	s := HopStatus{
		Name:       h.name,
		PublicKey:  h.cfg.PrivateKey.Public().Encode(),
		ListenPort: uint16(h.listenPort.Load()),
		Addrs:      h.cfg.Addrs,
		MTU:        h.mtu(),
		Out:        h.out.Load(),
		In:         h.in.Load(),
		Carried:    h.carried.Load(),
		Split:      h.split.Load(),
		Drops:      h.drops.snapshot(),
	}
	if h.via != nil {
		s.Via = h.via.name
		if h.cfg.Fragment {
			s.Fragments = pieces(s.MTU, h.over, h.via.mtu())
		}
	}
	s.Down, s.Reason = h.downReason()
	// In this order, or a packet under way would count as lost.
	if left, entered := h.left.Load(), h.entered.Load(); entered > left {
		s.Drops[dropDeviceOut.String()] = entered - left
	}
	if decrypted, received := h.decrypted.Load(), h.received.Load(); received > decrypted {
		s.Drops[dropDeviceIn.String()] = received - decrypted
	}
	if pieces := h.pieces.Load(); pieces != nil {
		n := pieces.Stats()
		s.Carried += n.Joined - n.Wholes
		if lost := n.Duplicate + n.Malformed + n.Tiny + n.TooBig + n.Overlap + n.Timeout + n.Full; lost > 0 {
			s.Drops[dropLinkFragment.String()] += lost
		}
	}
	polled := h.polled.Load()
	if polled != nil {
		s.Age = time.Duration(h.r.clock() - polled.at)
	}
	for i, peer := range h.cfg.Peers {
		ps := PeerStatus{
			PublicKey:  peer.PublicKey.Encode(),
			Preshared:  !peer.PresharedKey.IsZero(),
			AllowedIPs: peer.AllowedIPs,
			Keepalive:  peer.Keepalive,
		}
		if e := h.endpoints[i]; e.IsValid() {
			ps.Endpoint = e.String()
		}
		if polled != nil {
			known := polled.peers[peer.PublicKey]
			ps.LatestHandshake, ps.RxBytes, ps.TxBytes = known.handshake, known.rx, known.tx
			if known.endpoint != "" {
				ps.Endpoint = known.endpoint
			}
		}
		s.Peers = append(s.Peers, ps)
	}
	return s
}

// downReason reports whether and why the hop's routes reject.
func (h *hop) downReason() (bool, string) {
	if why := h.blocked.Load(); why != nil {
		return true, *why
	}
	return false, ""
}

// Explain says what the data path does with a packet from the TUN to f.Dst. It
// asks the table that the data path uses.
func (r *Router) Explain(f Flow) Explanation {
	t := r.table.Load()
	dst := f.Dst.Unmap().WithZone("")
	e := Explanation{Dst: dst}
	if !dst.IsValid() {
		e.Drop, e.Reason = dropMalformed.String(), "the destination is not an IP address"
		return e
	}
	v, why := t.find(dst)
	if prefix, _, ok := t.lpm.LookupPrefixLPM(netip.PrefixFrom(dst, dst.BitLen())); ok {
		e.Route = prefix
	}
	e.Src = t.tun6
	if dst.Is4() {
		e.Src = t.tun4
	}
	if why != delivered {
		e.Drop, e.Reason = why.String(), explainDrop(v, dst, e.Src, why)
	}
	if v == nil || v.hop == nil {
		return e
	}
	e.MTU, e.NAT = v.hop.mtu(), v.hop.addr(dst)
	for h := v.hop; h != nil; h = h.via {
		s := h.status()
		x := ExplainedHop{Name: h.name, MTU: h.mtu(), Down: s.Down, Reason: s.Reason}
		inner := dst
		if n := len(e.Path); n > 0 { // which peer carries the hop inside
			inner = netip.Addr{}
			if ap, err := netip.ParseAddrPort(e.Path[n-1].Endpoint); err == nil {
				inner = ap.Addr()
			}
		}
		if i, ok := h.peerFor(inner); ok {
			x.Endpoint, x.LatestHandshake = s.Peers[i].Endpoint, s.Peers[i].LatestHandshake
		}
		e.Path = append(e.Path, x)
	}
	slices.Reverse(e.Path)
	return e
}

// peerFor returns the index of the peer that takes packets to dst.
func (h *hop) peerFor(dst netip.Addr) (int, bool) {
	if len(h.cfg.Peers) == 1 {
		return 0, true
	}
	best, bits := 0, -1
	for i, p := range h.cfg.Peers {
		for _, prefix := range p.AllowedIPs {
			if prefix.Contains(dst) && prefix.Bits() >= bits {
				best, bits = i, prefix.Bits()
			}
		}
	}
	return best, bits >= 0
}

// explainDrop says in words why a packet is not delivered.
func explainDrop(v *view, dst, tun netip.Addr, why reason) string {
	switch why {
	case dropNoRoute:
		return "no route covers it: rejected"
	case dropRejected:
		return "its route rejects"
	case dropMulticast:
		return "multicast and broadcast are not routed"
	case dropFamily:
		switch {
		case !tun.IsValid():
			return "the TUN has no address of its family: rejected"
		case v.hop.addr(dst).IsValid():
			return "hop " + v.hop.name + " has an MTU under 1280, which IPv6 needs: rejected"
		}
		return "hop " + v.hop.name + " has no address of its family: rejected"
	case dropDown:
		_, reason := v.hop.downReason()
		return "hop " + v.hop.name + " is down (" + reason + "): rejected"
	}
	return why.String()
}
