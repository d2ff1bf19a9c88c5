package router

import (
	"net/netip"
	"time"
)

// A Status is a snapshot of a Router. Handshake times, endpoints and byte
// counts come from the last poll of each device; HopStatus.Age says how old
// that is.
type Status struct {
	TUN   string       `json:"tun"` // the device's name; "": none is set
	Addrs []netip.Addr `json:"addrs"`
	MTU   int          `json:"mtu"`
	Hops  []HopStatus  `json:"hops"` // carriers first

	Groups []GroupStatus  `json:"groups,omitempty"`
	OnDown []OnDownStatus `json:"on_down,omitempty"`

	Drops map[string]uint64 `json:"drops"` // packets that belong to no hop, or to one removed since, by reason
	Gone  uint64            `json:"gone"`  // packets of the TUN that left through hops removed since
	Read  uint64            `json:"read"`  // packets read from the TUN
	Wrote uint64            `json:"wrote"` // packets written to the TUN
}

// A HopStatus is the state of one hop.
type HopStatus struct {
	Name       string        `json:"name"`
	Via        string        `json:"via,omitempty"`       // the hop that carries it now; "": the host's network
	ViaGroup   string        `json:"via_group,omitempty"` // the group that chooses Via, if one does
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
	EndpointName    string         `json:"endpoint_name,omitempty"`  // host:port as configured, if that is a name
	EndpointError   string         `json:"endpoint_error,omitempty"` // why it could not be looked up the last time
	AllowedIPs      []netip.Prefix `json:"allowed_ips"`
	LatestHandshake time.Time      `json:"latest_handshake,omitzero"` // zero: none yet
	RxBytes         uint64         `json:"rx_bytes"`
	TxBytes         uint64         `json:"tx_bytes"`
	Keepalive       time.Duration  `json:"keepalive"`
}

// An OnDownStatus says what routes do while the hop or group that they name is
// down, where that is not to reject.
type OnDownStatus struct {
	Rule     string `json:"rule"`               // the hop or group
	OnDown   string `json:"on_down"`            // drop or fallback
	Fallback string `json:"fallback,omitempty"` // the hop or group that stands in
	InUse    bool   `json:"in_use,omitempty"`   // it does now
}

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
	for _, g := range t.groups {
		s.Groups = append(s.Groups, g.status())
	}
	for i := range t.rules {
		rule := &t.rules[i]
		if rule.plan.onDown == Reject {
			continue
		}
		s.OnDown = append(s.OnDown, OnDownStatus{
			Rule: rule.plan.target, OnDown: rule.plan.onDown.String(), Fallback: rule.plan.fallback,
			InUse: rule.pick() != rule.to.now(),
		})
	}
	return s
}

func (h *hop) status() HopStatus {
	cfg := h.conf()
	s := HopStatus{
		Name:       h.name,
		PublicKey:  cfg.PrivateKey.Public().Encode(),
		ListenPort: uint16(h.listenPort.Load()),
		Addrs:      cfg.Addrs,
		MTU:        h.mtu(),
		Out:        h.out.Load(),
		In:         h.in.Load(),
		Carried:    h.carried.Load(),
		Split:      h.split.Load(),
		Drops:      h.drops.snapshot(),
	}
	if cfg.via != nil {
		if s.Via = cfg.via.name; cfg.Via != s.Via {
			s.ViaGroup = cfg.Via
		}
		if cfg.Fragment {
			s.Fragments = pieces(s.MTU, cfg.over, cfg.via.mtu())
		}
	}
	s.Down, s.Reason = h.downReason()
	// What entered comes first, or what passes between the loads would count as lost.
	if entered, left := h.entered.Load(), h.left.Load(); entered > left {
		s.Drops[dropDeviceOut.String()] = entered - left
	}
	if received, decrypted := h.received.Load(), h.decrypted.Load(); received > decrypted {
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
	for _, peer := range cfg.Peers {
		ps := PeerStatus{
			PublicKey:  peer.PublicKey.Encode(),
			Preshared:  !peer.PresharedKey.IsZero(),
			AllowedIPs: peer.AllowedIPs,
			Keepalive:  peer.Keepalive,
		}
		h.describeEnd(&ps, peer.PublicKey)
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
