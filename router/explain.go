package router

import (
	"fmt"
	"net/netip"
	"time"

	"multihop/packet"
)

// A Flow is what Explain is asked about: a packet from a program of this host,
// or, with FromHop, one that a hop's peer sends. Only Dst is required, and
// with FromHop only Src.
type Flow struct {
	Dst     netip.Addr // with FromHop, if invalid: the hop's tunnel address
	Src     netip.Addr // invalid: the TUN's address
	Proto   uint8      // IP protocol number; 0: UDP. ICMP of either family is that of Dst
	SrcPort uint16     // of TCP, UDP and their like
	Port    uint16     // the destination's
	Size    int        // bytes of the whole packet; 0: the smallest
	DF      bool       // IPv4: it must not be fragmented
	FromHop string     // the hop whose peer sends it; "": it comes from the TUN
}

// An Explanation says what the data path does with a packet of a Flow.
type Explanation struct {
	Dst    netip.Addr     `json:"dst"`
	Src    netip.Addr     `json:"src,omitzero"` // address of the TUN that the program uses
	From   string         `json:"from,omitempty"`
	Route  netip.Prefix   `json:"route,omitzero"`    // the longest prefix: of Dst, or of Src for a packet from a hop; invalid: none
	Rule   string         `json:"rule,omitempty"`    // the hop or group that the route names; "": it rejects
	OnDown string         `json:"on_down,omitempty"` // the route's action: reject, drop or fallback
	Backup string         `json:"backup,omitempty"`  // the route's fallback, if it is in use
	Path   []ExplainedHop `json:"path,omitempty"`    // outermost (host's network) first
	NAT    netip.Addr     `json:"nat,omitzero"`      // source that the destination sees; for a packet from a hop, destination that the program sees
	Link   string         `json:"link,omitempty"`    // the hop whose link takes a packet from a hop; "": the TUN
	Size   int            `json:"size,omitempty"`    // of the packet that was asked about
	MTU    int            `json:"mtu,omitempty"`
	Pieces int            `json:"pieces,omitempty"` // fragments that it is cut into, if it is
	Drop   string         `json:"drop,omitempty"`   // counter's name if it is not delivered
	Reason string         `json:"reason,omitempty"`

	// Waits says which hop of the path has no address to send to, and why; "": all
	// have, or it is dropped. Until there is one nothing is sent: packets wait
	// inside WireGuard for up to 90 s, then they are device_out, or no_session at
	// once where a window full of them waits.
	Waits string `json:"waits,omitempty"`
}

// An ExplainedHop is one layer of an Explanation.
type ExplainedHop struct {
	Name            string    `json:"name"`
	Group           string    `json:"group,omitempty"` // that chose it
	Endpoint        string    `json:"endpoint,omitempty"`
	MTU             int       `json:"mtu"`
	Overhead        int       `json:"overhead"` // bytes that the layer adds to a packet, at most
	LatestHandshake time.Time `json:"latest_handshake,omitzero"`
	Down            bool      `json:"down"`
	Reason          string    `json:"reason,omitempty"`
	Waits           string    `json:"waits,omitempty"` // why its peer has no address yet
}

// Explain says what the data path does with a packet of a flow: it makes one, and
// hands it to the table and the code that the data path uses.
func (r *Router) Explain(f Flow) Explanation {
	t := r.table.Load()
	f.Dst, f.Src = f.Dst.Unmap().WithZone(""), f.Src.Unmap().WithZone("")
	if f.FromHop != "" {
		return t.explainIn(f)
	}
	e := Explanation{Dst: f.Dst, Src: f.Src}
	if !f.Dst.IsValid() {
		return e.dropped(dropMalformed, "the destination is not an IP address")
	}
	if !e.Src.IsValid() {
		e.Src = t.tunAddr(f.Dst)
	}
	pkt, m, err := f.packet(e.Src, f.Dst)
	if err != nil {
		return e.dropped(dropMalformed, err.Error())
	}
	e.Size = len(pkt)
	rule := t.explainRoute(&e, f.Dst)

	v, why := t.classify(pkt, m, nil)
	if v != nil {
		e.MTU, e.NAT = v.hop.mtu(), v.hop.addr(f.Dst)
		e.Path = explainPath(v.hop, rule, f.Dst)
	}
	if why == dropTooBig && m.Version == 4 && !m.DF {
		if e.Pieces = len(new(departure).split(pkt, v.hop.mtu(), 0)); e.Pieces > 0 {
			why = delivered
		}
	}
	if why == delivered {
		why = v.translate(pkt, m)
	}
	if why == delivered {
		if _, ok := v.hop.peering().find(pkt); !ok {
			why = dropNoPeer
		}
	}
	if why != delivered {
		return e.dropped(why, explainDrop(v, &e, why))
	}
	for _, x := range e.Path {
		if x.Waits != "" {
			e.Waits = "hop " + x.Name + ": " + x.Waits
			break
		}
	}
	return e
}

// dropped returns e with the drop.
func (e Explanation) dropped(why reason, text string) Explanation {
	e.Drop, e.Reason = why.String(), text
	return e
}

// explainRoute fills in the route of an address, and returns its rule; nil: none.
func (t *table) explainRoute(e *Explanation, a netip.Addr) *rule {
	prefix, i, ok := t.lpm.LookupPrefixLPM(netip.PrefixFrom(a, a.BitLen()))
	if !ok {
		return nil
	}
	rule := &t.rules[i]
	e.Route, e.Rule, e.OnDown = prefix, rule.plan.target, rule.plan.onDown.String()
	if v := rule.pick(); v != rule.to.now() {
		e.Backup = v.hop.name
	}
	return rule
}

// explainIn explains a packet from a hop's peer.
func (t *table) explainIn(f Flow) Explanation {
	e := Explanation{Dst: f.Dst, Src: f.Src, From: f.FromHop}
	h := t.hop(f.FromHop)
	switch {
	case h == nil:
		return e.dropped(dropMalformed, "no hop is named "+f.FromHop)
	case !f.Src.IsValid():
		return e.dropped(dropMalformed, "the source is not an IP address")
	case !e.Dst.IsValid():
		e.Dst = h.addr(f.Src)
	}
	e.Path = explainPath(h, nil, f.Src)
	e.MTU = h.mtu()
	t.explainRoute(&e, f.Src)
	if down, reason := h.downReason(); down {
		return e.dropped(dropDown, "hop "+h.name+" is down ("+reason+")")
	}
	if !e.Dst.IsValid() {
		return e.dropped(dropDestination, "hop "+h.name+" has no "+family(f.Src)+" address")
	}
	pkt, m, err := f.packet(f.Src, e.Dst)
	if err != nil {
		return e.dropped(dropMalformed, err.Error())
	}
	e.Size = len(pkt)
	if !h.conf().allows(f.Src) {
		return e.dropped(dropDeviceIn, fmt.Sprintf("no peer of hop %s has %v in its AllowedIPs", h.name, f.Src))
	}
	if s := (*h.sockets.Load())[m.DstPort]; s != nil && m.Proto == packet.ProtoUDP && m.Dst == h.addr(m.Dst) {
		if e.Link = "a socket of this program"; s.user != nil {
			e.Link = s.user.name
		}
		return e
	}
	var quote packet.Meta
	if why := t.accept(t.views[h], pkt, m, &quote); why != delivered {
		return e.dropped(why, explainRefused(h, &e, why))
	}
	e.NAT = t.tunAddr(e.Dst)
	return e
}

// explainDrop says in words why a packet from the TUN is not delivered.
func explainDrop(v *view, e *Explanation, why reason) string {
	switch why {
	case dropSource:
		return fmt.Sprintf("%v is not the TUN's address", e.Src)
	case dropLinkPort:
		return "a link uses its source port"
	case dropNoRoute:
		return "no route covers it: rejected"
	case dropRejected:
		return "its route rejects"
	case dropMulticast:
		return "multicast and broadcast are not routed"
	case dropTooBig:
		return fmt.Sprintf("%d bytes are more than the %d of hop %s, and it must not be fragmented", e.Size, e.MTU, v.hop.name)
	case dropNoPeer:
		return fmt.Sprintf("no peer of hop %s has it in its AllowedIPs", v.hop.name)
	case dropFamily:
		switch {
		case v == nil:
			return "the TUN has no address of its family: rejected"
		case v.hop.addr(e.Dst).IsValid():
			return "hop " + v.hop.name + " has an MTU under 1280, which IPv6 needs: rejected"
		}
		return "hop " + v.hop.name + " has no address of its family: rejected"
	case dropDown, dropDownSilent:
		_, reason := v.hop.downReason()
		text := "hop " + v.hop.name + " is down (" + reason + "): "
		if why == dropDownSilent {
			return text + "dropped, as its route says"
		}
		return text + "rejected"
	}
	return why.String()
}

// explainRefused says in words why a packet from a hop is not delivered.
func explainRefused(h *hop, e *Explanation, why reason) string {
	switch why {
	case dropDestination:
		return fmt.Sprintf("%v is not the address of hop %s", e.Dst, h.name)
	case dropSpoof:
		switch {
		case forbiddenSource(e.Src):
			return fmt.Sprintf("no packet from a tunnel may come from %v", e.Src)
		case !e.Route.IsValid():
			return fmt.Sprintf("no route leads to %v", e.Src)
		case e.Rule == "":
			return fmt.Sprintf("the route to %v rejects", e.Src)
		case e.Rule == h.name:
			return fmt.Sprintf("%v is an address of ours", e.Src)
		}
		return fmt.Sprintf("the route to %v leads through %s", e.Src, e.Rule)
	}
	return why.String()
}
