package router

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"multihop/packet"
)

// A ping is a series of ICMP echo requests through a hop, from its tunnel
// address. Replies are told from those for programs of the host by a nonce.
type ping struct {
	to    netip.Addr
	nonce [16]byte
	seq   atomic.Uint32
	heard atomic.Int64 // Router.clock of the last reply; 0: none
}

// pings are those of a hop. Immutable.
type pings []*ping

// newPing returns a series of pings to an address.
func (h *hop) newPing(to netip.Addr) *ping {
	p := &ping{to: to}
	_, _ = rand.Read(p.nonce[:]) // never fails
	h.socketMu.Lock()
	defer h.socketMu.Unlock()
	all := append(slices.Clone(*h.pings.Load()), p)
	h.pings.Store(&all)
	return p
}

// unping ends a series. A nil one has ended.
func (h *hop) unping(p *ping) {
	if p == nil {
		return
	}
	h.socketMu.Lock()
	defer h.socketMu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*h.pings.Load()), func(q *ping) bool { return p == q })
	h.pings.Store(&all)
}

// heardAt returns when the last reply came; zero: none did.
func (p *ping) heardAt(r *Router) time.Time {
	if at := p.heard.Load(); at != 0 {
		return r.born.Add(time.Duration(at))
	}
	return time.Time{}
}

// ICMP echo, RFC 792 and RFC 4443.
const (
	pingRequest, pingReply   = 8, 0
	pingRequest6, pingReply6 = 128, 129
	pingSize                 = 8 + 16 // header and nonce
)

// ping sends one echo request, ahead of data. It never waits: what finds no room
// is lost.
func (h *hop) ping(p *ping) {
	port := h.port.Load()
	src := h.addr(p.to)
	if port == nil || !src.IsValid() {
		return
	}
	seq := uint16(p.seq.Add(1))
	size := 20 + pingSize
	if p.to.Is6() {
		size = 40 + pingSize
	}
	port.in.PutControl(size, origin{from: h.pinger, generation: h.pinger.epoch.Load()}, func(b []byte) {
		putEcho(b, src, p, seq)
	})
}

// putEcho writes an echo request to b, which has its size.
func putEcho(b []byte, src netip.Addr, p *ping, seq uint16) {
	clear(b)
	l4 := len(b) - pingSize
	icmp := b[l4:]
	icmp[0] = pingRequest
	binary.BigEndian.PutUint16(icmp[6:], seq)
	copy(icmp[8:], p.nonce[:])
	sum := uint32(0)
	if src.Is4() {
		b[0] = 4<<4 | 5
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[8], b[9] = 64, packet.ProtoICMP
		copy(b[12:16], src.AsSlice())
		copy(b[16:20], p.to.AsSlice())
		binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:20], 0)))
	} else {
		icmp[0] = pingRequest6
		b[0] = 6 << 4
		binary.BigEndian.PutUint16(b[4:], pingSize)
		b[6], b[7] = packet.ProtoICMPv6, 64
		copy(b[8:24], src.AsSlice())
		copy(b[24:40], p.to.AsSlice())
		sum = packet.Sum(b[8:40], pingSize+packet.ProtoICMPv6) // pseudo-header: RFC 8200, section 8.1
	}
	binary.BigEndian.PutUint16(icmp[2:], ^packet.Fold(packet.Sum(icmp, sum)))
}

// answered reports whether pkt, which hop h received, is a reply to one of its
// pings, and notes it.
func (all pings) answered(h *hop, pkt []byte, m *packet.Meta) bool {
	if m.Proto != packet.ProtoICMP && m.Proto != packet.ProtoICMPv6 || m.IsFragment() || m.Len-m.L4 != pingSize {
		return false
	}
	icmp := pkt[m.L4:m.Len]
	if m.Version == 4 && icmp[0] != pingReply || m.Version == 6 && icmp[0] != pingReply6 || m.Dst != h.addr(m.Dst) {
		return false
	}
	for _, p := range all {
		if m.Src == p.to && [16]byte(icmp[8:]) == p.nonce {
			p.heard.Store(h.r.clock())
			return true
		}
	}
	return false
}
