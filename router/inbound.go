package router

import (
	"net/netip"
	"sync"

	"multihop/internal/frag"
	"multihop/internal/queue"
	"multihop/packet"
)

// An arrival is the scratch of one call of deliver.
type arrival struct {
	meta  packet.Meta
	quote packet.Meta
	lost  tally
	tun   [][]byte // accepted for the TUN, sharing the caller's buffers

	offset int // of packets in tun

	to   *socket // whose queue is being filled; nil: none
	room queue.Reservation[netip.AddrPort]
	used int // of room
	most int // bytes that it takes
}

func newArrivals() *sync.Pool {
	return &sync.Pool{New: func() any { return new(arrival) }}
}

// deliver takes decrypted packets of hop h, at offset in bufs, to its links and
// to the TUN. Where packets for a link's queue follow one another they go in
// under one lock.
func (h *hop) deliver(bufs [][]byte, offset int) {
	r := h.r
	t := r.table.Load()
	v := t.views[h] // nil: not routed yet, or no longer
	a := r.arrivals.Get().(*arrival)
	a.tun = a.tun[:0]
	links := *h.sockets.Load()
	pings := *h.pings.Load()
	a.offset = offset
	for left := len(bufs); left > 0; left-- {
		buf := bufs[len(bufs)-left]
		pkt := buf[offset:]
		why := verdict(a.meta.Parse(pkt))
		if why == delivered {
			pkt = pkt[:a.meta.Len]
			var mine bool
			if mine, why = h.toLink(t, links, v, a, pkt, left); !mine && why == delivered {
				if len(pings) > 0 && pings.answered(h, pkt, &a.meta) {
					h.carried.Add(1)
				} else if why = t.accept(v, pkt, &a.meta, &a.quote); why == delivered {
					a.tun = append(a.tun, buf[:offset+a.meta.Len])
				}
			}
		}
		if why == dropSpoof && h.wasLink(&a.meta) {
			why = dropLinkClosed
		}
		if why != delivered {
			a.lost[why]++
		}
	}
	a.finish()
	if n := len(a.tun); n > 0 {
		if why := r.writeTUN(a.tun, offset); why != delivered {
			a.lost[why] += uint32(n)
		} else {
			h.in.Add(uint64(n))
		}
		clear(a.tun)
	}
	a.lost.flush(&h.drops)
	r.arrivals.Put(a)
}

// toLink puts pkt into the queue of the link that it is for. mine is false if
// it is for none. left is how many packets of the batch remain, this one too.
func (h *hop) toLink(t *table, links sockets, v *view, a *arrival, pkt []byte, left int) (mine bool, why reason) {
	m := &a.meta
	if len(links) == 0 || m.Dst != h.addr(m.Dst) {
		return false, delivered
	}
	if packet.IsICMPError(pkt, m) {
		if packet.Quoted(pkt, m, &a.quote) && a.quote.Proto == packet.ProtoUDP &&
			a.quote.Src == m.Dst && a.quote.FragOffset == 0 && links[a.quote.SrcPort] != nil {
			if mtu, ok := packet.PathMTU(pkt, m); ok && (*h.far.Load())[a.quote.Dst] {
				links[a.quote.SrcPort].user.learnMTU(mtu, a.quote.Dst)
			}
			return true, dropLinkICMP
		}
		return false, delivered
	}
	if m.Proto != packet.ProtoUDP {
		return false, delivered
	}
	if m.IsFragment() {
		return h.pieceToLink(t, links, v, a, pkt, left)
	}
	s := links[m.DstPort]
	if s == nil {
		return false, delivered
	}
	return true, a.put(s, pkt, left)
}

// put puts a datagram into the queue of its socket.
func (a *arrival) put(s *socket, pkt []byte, left int) reason {
	payload, ok := packet.UDPPayload(pkt, &a.meta)
	if !ok {
		return dropMalformed
	}
	if a.to != s {
		a.finish()
		a.to, a.room, a.used, a.most = s, s.rx.Reserve(&s.in, left), 0, s.most()
	}
	if len(payload) > a.most {
		return dropTooBig
	}
	if a.used == a.room.N {
		return dropLinkFull
	}
	slot := a.room.Slot(a.used)
	copy(slot.SetSize(len(payload)), payload)
	slot.Meta = netip.AddrPortFrom(a.meta.Src, a.meta.SrcPort)
	a.used++
	return delivered
}

// pieceToLink takes a fragment of a UDP datagram. Later ones have no ports, so
// all that come from a link's endpoint are put together here: the link's own,
// and the few for programs of this host that the same address sent. What becomes
// of each is counted by the Reassembler.
func (h *hop) pieceToLink(t *table, links sockets, v *view, a *arrival, pkt []byte, left int) (mine bool, why reason) {
	m := &a.meta
	if !(*h.far.Load())[m.Src] {
		if m.FragOffset == 0 && links[m.DstPort] != nil {
			return true, dropLinkFragment
		}
		return false, delivered
	}
	pieces := h.pieces.Load()
	whole, what := pieces.Add(pkt, m, h.r.clock())
	if what != frag.Whole {
		return true, delivered
	}
	defer pieces.Release(whole)
	if why := verdict(m.Parse(whole)); why != delivered {
		return true, why
	}
	if s := links[m.DstPort]; s != nil {
		return true, a.put(s, whole, left)
	}
	if why := t.accept(v, whole, m, &a.quote); why != delivered {
		return true, why
	}
	buf := make([]byte, a.offset+len(whole))
	copy(buf[a.offset:], whole)
	a.tun = append(a.tun, buf)
	return true, delivered
}

// finish publishes what was put into the current link's queue.
func (a *arrival) finish() {
	if a.to != nil {
		a.room.Commit(a.used)
		a.to.hop.carried.Add(uint64(a.used))
		a.to = nil
	}
}

// accept checks a packet that hop v received and translates it for the TUN.
func (t *table) accept(v *view, pkt []byte, m, q *packet.Meta) reason {
	if v == nil {
		return dropDown
	}
	to := v.inward(m.Dst)
	if to == nil {
		return dropDestination
	}
	if forbiddenSource(m.Src) || t.own[m.Src] {
		return dropSpoof
	}
	mine := t.owns(v.hop, m.Src)
	if packet.IsICMPError(pkt, m) {
		// An error may come from any router on the way: what it quotes decides.
		if !packet.Quoted(pkt, m, q) || q.Src != m.Dst {
			return dropQuote
		}
		if !t.owns(v.hop, q.Dst) {
			return dropSpoof
		}
		if _, rule := t.lookup(m.Src); rule != nil && !mine {
			// The source is of another hop: this one gets no voice there.
			setSource(pkt, m, q.Dst)
		}
	} else if !mine {
		return dropSpoof
	}
	if m.TCPFlags&packet.FlagSYN != 0 {
		v.hop.clampMSS(pkt, m, false)
	}
	return verdict(to.Destination(pkt, m))
}

// forbiddenSource reports whether no packet from a tunnel may have source a.
func forbiddenSource(a netip.Addr) bool {
	if a.Is4() {
		first := a.As4()[0]
		return first == 0 || first == 127 || first >= 224 // multicast and class E
	}
	return a.IsLoopback() || a.IsMulticast() || a.IsUnspecified()
}
