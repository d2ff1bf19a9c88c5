package router

import (
	"math/rand/v2"
	"net/netip"

	"multihop/internal/frag"
	"multihop/packet"
)

// sendControl puts one payload into the control lane. It never waits.
func (s *socket) sendControl(payload []byte, dst netip.AddrPort) reason {
	p := s.hop.port.Load()
	src, ok := s.source(dst.Addr())
	if p == nil || !ok || s.hop.isDown() {
		return dropCarrierDown
	}
	over := packet.UDPOverhead(dst.Addr())
	from := origin{s, s.epoch.Load()}
	if s.closed() {
		return dropCarrierDown
	}
	if limit := s.hop.mtu(); over+len(payload) > limit {
		return p.putControlPieces(from, payload, src, dst, limit)
	}
	if !p.in.PutControl(over+len(payload), from, func(b []byte) {
		copy(b[over:], payload)
		packet.PutUDP(b, src, dst, len(payload), true)
	}) {
		return dropCarrierFull
	}
	return delivered
}

// putControlPieces puts one payload that exceeds the MTU into the control lane, in
// fragments of at most limit bytes. A handshake of 148 bytes does not shrink with
// the layers: a carrier of less than 176 bytes (IPv4) can carry data, but not that.
func (p *port) putControlPieces(from origin, payload []byte, src, dst netip.AddrPort, limit int) reason {
	over := packet.UDPOverhead(dst.Addr())
	whole := make([]byte, over+len(payload)) // once in some minutes
	copy(whole[over:], payload)
	packet.PutUDP(whole, src, dst, len(payload), false)
	var m packet.Meta
	if m.Parse(whole) != packet.OK {
		return dropMalformed
	}
	pieces := make([][]byte, len(whole)/8+1)
	for i := range pieces {
		pieces[i] = make([]byte, limit)
	}
	n, ok := 0, false
	if m.Version == 4 {
		n, ok = frag.Split4(pieces, whole, &m, limit)
	} else {
		n, ok = frag.Split6(pieces, whole, &m, limit, rand.Uint32())
	}
	if !ok {
		return dropTooBig
	}
	for _, piece := range pieces[:n] {
		if !p.in.PutControl(len(piece), from, func(b []byte) { copy(b, piece) }) {
			return dropCarrierFull
		}
	}
	return delivered
}
