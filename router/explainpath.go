package router

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"multihop/packet"
)

// explainPath returns the layers of a packet to dst through a hop, outermost
// first. rule is what chose the hop; nil: nothing did.
func explainPath(h *hop, rule *rule, dst netip.Addr) []ExplainedHop {
	var path []ExplainedHop
	group := ""
	if rule != nil {
		if t := rule.target(h); t != nil && t.group != nil {
			group = t.group.cfg.Name
		}
	}
	for inner := dst; h != nil; {
		s, cfg := h.status(), h.conf()
		x := ExplainedHop{Name: h.name, Group: group, MTU: h.mtu(), Overhead: cfg.over, Down: s.Down, Reason: s.Reason}
		inner = h.explainPeer(&x, &s, inner)
		path = append(path, x)
		group = s.ViaGroup
		h = cfg.via
	}
	slices.Reverse(path)
	return path
}

// target returns which of the rule's targets the hop is of; nil: none.
func (r *rule) target(h *hop) *target {
	for _, t := range []*target{&r.to, &r.backup} {
		if v := t.now(); v != nil && v.hop == h {
			return t
		}
	}
	return nil
}

// explainPeer fills in what the peer says that takes packets to a, and returns
// the address of its endpoint; invalid: it has none.
func (h *hop) explainPeer(x *ExplainedHop, s *HopStatus, a netip.Addr) netip.Addr {
	peers := h.peering()
	i, ok := peers.one, peers.lpm == nil
	if !ok {
		if i, ok = peers.lpm.Lookup(a); !ok {
			return netip.Addr{}
		}
	}
	for j, peer := range h.conf().Peers {
		if peers.index[peer.PublicKey] != i || j >= len(s.Peers) {
			continue
		}
		p := s.Peers[j]
		x.Endpoint, x.LatestHandshake = p.Endpoint, p.LatestHandshake
		if p.Endpoint == "" {
			x.Waits = h.explainWait(&p)
		}
		at, _ := netip.ParseAddrPort(p.Endpoint) // else it is invalid
		return at.Addr()
	}
	return netip.Addr{}
}

// explainWait says why a peer has no address yet; "": a hop that does not run looks
// no name up.
func (h *hop) explainWait(p *PeerStatus) string {
	switch {
	case p.EndpointName == "":
		return "its peer has no endpoint, and was not heard yet"
	case h.port.Load() == nil:
		return ""
	case p.EndpointError == "":
		return "its endpoint " + p.EndpointName + " was not looked up yet"
	}
	return "its endpoint " + p.EndpointName + " has no address: " + p.EndpointError
}

// peering returns what the hop's port knows of its peers, or would if it ran.
func (h *hop) peering() *peering {
	if p := h.port.Load(); p != nil {
		return p.peers.Load()
	}
	return newPeering(nil, h.conf().Peers)
}

// packet makes a packet of the flow. An invalid src is unspecified.
func (f *Flow) packet(src, dst netip.Addr) ([]byte, *packet.Meta, error) {
	head, most := 20, 65535
	if dst.Is6() {
		head, most = 40, 65535+40
	}
	if src.IsValid() && src.Is4() != dst.Is4() {
		return nil, nil, fmt.Errorf("%v and %v are of different families", src, dst)
	}
	proto := f.Proto
	switch {
	case proto == 0:
		proto = packet.ProtoUDP
	case proto == packet.ProtoICMP && dst.Is6():
		proto = packet.ProtoICMPv6
	case proto == packet.ProtoICMPv6 && dst.Is4():
		proto = packet.ProtoICMP
	}
	least := head + upperLen(proto)
	size := f.Size
	if size == 0 {
		size = least
	}
	if size < least || size > most {
		return nil, nil, fmt.Errorf("such a packet has %d to %d bytes, not %d", least, most, size)
	}
	b := make([]byte, size)
	f.putUpper(b[head:], proto)
	if dst.Is4() {
		b[0], b[8], b[9] = 4<<4|5, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(size))
		if f.DF {
			b[6] = 1 << 6
		}
		if src.IsValid() {
			copy(b[12:16], src.AsSlice())
		}
		copy(b[16:20], dst.AsSlice())
		binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:20], 0)))
	} else {
		b[0], b[6], b[7] = 6<<4, proto, 64
		binary.BigEndian.PutUint16(b[4:], uint16(size-40))
		if src.IsValid() {
			copy(b[8:24], src.AsSlice())
		}
		copy(b[24:40], dst.AsSlice())
	}
	m := new(packet.Meta)
	if v := m.Parse(b); v != packet.OK {
		return nil, nil, fmt.Errorf("IP protocol %d: a packet of it alone is %v", proto, verdict(v))
	}
	return b, m, nil
}

// upperLen returns the length of a protocol's fixed header.
func upperLen(proto uint8) int {
	switch proto {
	case packet.ProtoTCP:
		return 20
	case packet.ProtoDCCP:
		return 16
	case packet.ProtoSCTP:
		return 12
	case packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoICMP, packet.ProtoICMPv6:
		return 8
	}
	return 0
}

// putUpper writes that header: of ICMP, an echo request.
func (f *Flow) putUpper(b []byte, proto uint8) {
	switch proto {
	case packet.ProtoICMP:
		b[0] = pingRequest
		return
	case packet.ProtoICMPv6:
		b[0] = pingRequest6
		return
	case packet.ProtoTCP:
		b[12], b[13] = 5<<4, 1<<4 // data offset; ACK
	case packet.ProtoUDP, packet.ProtoUDPLite:
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	case packet.ProtoDCCP:
		b[4], b[8] = 4, 1 // data offset; X
	case packet.ProtoSCTP:
	default:
		return // it has no ports
	}
	binary.BigEndian.PutUint16(b, f.SrcPort)
	binary.BigEndian.PutUint16(b[2:], f.Port)
}
