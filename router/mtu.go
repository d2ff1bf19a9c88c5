package router

import (
	"fmt"
	"net/netip"

	"golang.zx2c4.com/wireguard/device"

	"multihop/packet"
)

// The arithmetic of MTUs, in bytes of whole IP packets.
//
// A packet of n bytes that enters a hop becomes a datagram of
//
//	16 (type, receiver, counter) + n padded to 16 + 16 (tag)
//
// and that a packet of the carrier, with 8 bytes of UDP and 20 or 40 of IP in
// front. WireGuard caps the padding at the device's MTU, so a packet that fills
// the MTU grows by exactly 60 (IPv4 endpoint) or 80 bytes (IPv6), and a smaller
// one never becomes larger than that. Handshakes do not shrink with the layers:
// where a carrier is too narrow for one, it goes in fragments, whatever the hop
// says about its link.
const (
	rootMTU    = 1420 // of a hop on the host's network that says nothing
	minMTU     = 68   // Linux takes no less for a TUN or a route; RFC 791
	minMTUIPv6 = 1280 // RFC 8200, section 5
)

// overhead returns what a hop whose peers have those endpoints adds to a packet.
// Where an endpoint is a name, learned, or IPv6, that is the larger figure.
func overhead(peers []Peer) int {
	ip := packet.UDPOverhead(netip.IPv4Unspecified())
	for _, p := range peers {
		host, _, err := splitEndpoint(p.Endpoint)
		if err == nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(host); err == nil && a.Is4() {
				continue
			}
		}
		ip = packet.UDPOverhead(netip.IPv6Unspecified())
	}
	return device.MessageTransportSize + ip
}

// segmentMTUs returns the sizes of the TCP packets that a hop should be sent and
// should send: what MSS clamping goes by.
//
// To be sent: only our side caps the padding at the hop's MTU. A peer whose own
// MTU is larger pads to 16, and the datagram of a packet that is not a multiple
// of 16 could then exceed what the carrier holds and arrive in fragments.
//
// Where the link fragments, TCP is kept to what the carrier takes whole, if that
// is not too little: a fragment lost is a segment lost.
func (h *hop) segmentMTUs() (receive, send int) {
	const least = 576
	send = h.mtu()
	cfg := h.conf()
	if cfg.via == nil {
		return send, send
	}
	if cfg.Fragment {
		send = min(send, max(cfg.via.mtu()-cfg.over, least))
	}
	return send &^ (device.PaddingMultiple - 1), send
}

// clampMSS lowers the MSS of SYN and SYN-ACK, less the IP and TCP headers of 40
// or 60 bytes, to what the hop should be sent (outbound, where the option asks
// the far end) or send (inbound).
func (h *hop) clampMSS(pkt []byte, m *packet.Meta, outbound bool) {
	if m.Proto != packet.ProtoTCP || m.TCPFlags&packet.FlagSYN == 0 {
		return
	}
	headers := 40
	if m.Version == 6 {
		headers = 60
	}
	receive, send := h.segmentMTUs()
	mtu := send
	if outbound {
		mtu = receive
	}
	packet.ClampMSS(pkt, m, uint16(min(max(mtu-headers, 0), 65535)))
}

// carrier returns the hop that carries h; of a group, the one with the smallest
// MTU; nil: the host's network.
func (p *Plan) carrier(h *Hop) *Hop {
	var least *Hop
	for _, c := range p.members(h.Via) {
		if least == nil || c.MTU < least.MTU {
			least = c
		}
	}
	return least
}

// deriveMTU fills in a hop's MTU. That of its carrier must be known.
func (p *Plan) deriveMTU(h *Hop) error {
	bad := func(format string, args ...any) error {
		return &ConfigError{Hop: h.Name, Field: "MTU", Err: fmt.Errorf(format, args...)}
	}
	if h.MTU < 0 || h.MTU > maxPacket {
		return bad("%d: want %d to %d, or 0 to derive it", h.MTU, minMTU, maxPacket)
	}
	if h.MTU != 0 && h.MTU < minMTU {
		return bad("%d: too small to carry a packet; want at least %d", h.MTU, minMTU)
	}
	if h.Via == "" {
		if h.MTU == 0 {
			h.MTU = rootMTU
		}
		return nil
	}
	via := p.carrier(h)
	carrier := via.MTU
	over := overhead(h.Peers)
	room := carrier - over
	sum := fmt.Sprintf("%d of its carrier %s less %d leaves %d", carrier, via.Name, over, room)
	if h.Fragment && room < minMTUIPv6 {
		// Its datagrams may be larger than what the carrier takes.
		sum += fmt.Sprintf("; its link fragments, which keeps %d", minMTUIPv6)
		room = minMTUIPv6
	}
	if room < minMTU {
		return bad("too small to carry a packet: %s, and %d are needed", sum, minMTU)
	}
	if h.MTU > room {
		p.warn("hop %s: MTU %d is lowered to %d: %s", h.Name, h.MTU, room, sum)
	}
	if h.MTU == 0 || h.MTU > room {
		h.MTU = room
	}
	return nil
}

// tooNarrow says why a hop cannot carry IPv6.
func tooNarrow(h *Hop) string {
	return fmt.Sprintf("IPv6 needs an MTU of %d, and hop %s has %d: let its link fragment, or give its carrier more", minMTUIPv6, h.Name, h.MTU)
}

// pieces returns how many packets of a carrier a full packet of a hop becomes
// whose link fragments.
func pieces(mtu, over, carrier int) int {
	if mtu+over <= carrier {
		return 1
	}
	head, data := 20, mtu+over-20
	if over > 60 {
		head, data = 48, mtu+over-40
	}
	per := (carrier - head) &^ 7
	return (data + per - 1) / per
}
