package router

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/internal/frag"
	"multihop/packet"
)

// Waiting for a hop's ring: enough for a hop that is busy, too little for one
// that is stalled to hold up another.
const (
	stallWait  = 100 * time.Millisecond // while nobody else sends
	sharedWait = time.Millisecond       // while another root hop has traffic
)

// readOffset leaves room in front of a packet read from the TUN.
const readOffset = 16

// A departure is the scratch of the TUN reader: one batch.
type departure struct {
	bufs  [][]byte
	sizes []int
	meta  packet.Meta
	seen  *recent
	hops  []*hop   // of each packet; nil: dropped
	list  [][]byte // the packets of one hop
	cut   []bool   // of each packet: it goes in fragments
	spare [][]byte // buffers of fragments
	lost  tally    // those that belong to no hop
}

func newDeparture(batch int) *departure {
	d := &departure{
		bufs:  make([][]byte, batch),
		sizes: make([]int, batch),
		hops:  make([]*hop, batch),
		list:  make([][]byte, 0, batch),
		cut:   make([]bool, batch),
		seen:  new(recent),
	}
	for i := range d.bufs {
		d.bufs[i] = make([]byte, readOffset+65535)
	}
	return d
}

// Where the MSS is small, a super-packet of the kernel's has more segments than a
// batch: up to 64 KiB of 8 bytes each (Linux's TCP_MIN_GSO_SIZE). Those beyond a
// batch are no larger than its part of 64 KiB, and the headers; if IPv6 has extension
// headers of more than 28 bytes, they do not fit.
const (
	mostSegments = 65535 / 8
	laterSegment = readOffset + 65535/rootBatch + 128
)

// widen makes room for the segments of any super-packet. The buffers lie behind each
// other and end where the array does: wireguard-go, which takes it that each has room
// for any packet, may write one into the next, and route drops what does not fit.
func (d *departure) widen() {
	more := mostSegments - len(d.bufs)
	if more <= 0 {
		return
	}
	array := make([]byte, more*laterSegment+65535) // of which what no packet needs is not touched
	for i := range more {
		d.bufs = append(d.bufs, array[i*laterSegment:(i+1)*laterSegment])
	}
	d.sizes = make([]int, len(d.bufs))
	d.hops = make([]*hop, len(d.bufs))
	d.cut = make([]bool, len(d.bufs))
}

// readRetries is how many read errors in a row make a TUN dead.
const readRetries = 10

// forward reads the TUN and hands its packets to the hops, until the TUN fails
// or is closed.
func (r *Router) forward(tun wgtun.Device) error {
	d := newDeparture(max(tun.BatchSize(), rootBatch))
	if cutsSegments(tun) {
		d.widen()
	}
	for failures := 0; ; {
		n, err := tun.Read(d.bufs, d.sizes, readOffset)
		if n > 0 {
			failures = 0
			r.read.Add(uint64(n))
			r.routing.Lock() // Apply waits for a batch under way
			r.route(d, n)
			r.routing.Unlock()
		}
		switch {
		case err == nil:
		case errors.Is(err, wgtun.ErrTooManySegments):
			r.drops.add(dropSegments, 1)
			d.widen()
		case errors.Is(err, os.ErrClosed):
			return err
		default: // one bad packet must not end everything
			if failures++; failures == readRetries {
				return err
			}
			r.log.Warn("reading the TUN fails", "err", err)
			time.Sleep(time.Duration(failures) * time.Millisecond)
		}
	}
}

// route sends the first n packets of d on their way.
func (r *Router) route(d *departure, n int) {
	t := r.table.Load()
	for i := range n {
		if d.sizes[i] > len(d.bufs[i])-readOffset { // the next one is written over its end
			d.hops[i] = nil
			d.lost[dropSegments]++
			continue
		}
		pkt := d.bufs[i][readOffset : readOffset+d.sizes[i]]
		v, why := t.classify(pkt, &d.meta, d.seen)
		d.cut[i] = why == dropTooBig && d.meta.Version == 4 && !d.meta.DF
		if why == delivered || d.cut[i] {
			why = v.translate(pkt, &d.meta)
		}
		d.hops[i] = nil
		if why == delivered {
			d.hops[i] = v.hop
			d.sizes[i] = d.meta.Len
			continue
		}
		if why.rejects() {
			r.answer(pkt, &d.meta, packet.AdminProhibited, 0)
		} else if why == dropTooBig {
			r.answer(pkt, &d.meta, packet.TooBig, v.hop.mtu())
		}
		if v != nil {
			v.hop.drops.add(why, 1)
		} else {
			d.lost[why]++
		}
	}
	d.lost.flush(&r.drops)
	for i := range n { // one reservation per hop of the batch, in order
		h := d.hops[i]
		if h == nil {
			continue
		}
		d.list = d.list[:0]
		used := 0 // of d.spare
		for j := i; j < n; j++ {
			if d.hops[j] != h {
				continue
			}
			d.hops[j] = nil
			pkt := d.bufs[j][readOffset : readOffset+d.sizes[j]]
			if !d.cut[j] {
				d.list = append(d.list, pkt)
			} else if pieces := d.split(pkt, h.mtu(), used); pieces != nil {
				d.list = append(d.list, pieces...)
				used += len(pieces)
				h.split.Add(uint64(len(pieces) - 1))
			} else {
				h.drops.add(dropTooBig, 1)
			}
		}
		r.enqueue(h, t, d.list)
	}
}

// split cuts an IPv4 packet into fragments of at most mtu bytes, in buffers of
// d.spare from the used-th on. It returns nil if the packet cannot be cut.
func (d *departure) split(pkt []byte, mtu, used int) [][]byte {
	if d.meta.Parse(pkt) != packet.OK {
		return nil
	}
	most := len(pkt)/max((mtu-d.meta.L4)&^7, 8) + 1
	for i := used; i < used+most; i++ {
		if i == len(d.spare) {
			d.spare = append(d.spare, nil)
		}
		if cap(d.spare[i]) < mtu {
			d.spare[i] = make([]byte, mtu)
		}
		d.spare[i] = d.spare[i][:cap(d.spare[i])]
	}
	pieces := d.spare[used : used+most]
	n, ok := frag.Split4(pieces, pkt, &d.meta, mtu)
	if !ok {
		return nil
	}
	return pieces[:n]
}

// classify finds the hop of a packet from the TUN, with what was seen of the table so
// far. The view is nil where no route was found or looked for.
func (t *table) classify(pkt []byte, m *packet.Meta, seen *recent) (*view, reason) {
	if v := m.Parse(pkt); v != packet.OK {
		return nil, verdict(v)
	}
	if own := t.tunAddr(m.Dst); m.Src != own {
		if !own.IsValid() { // told, or a program would try for ever
			return nil, dropFamily
		}
		return nil, dropSource
	}
	v, why := t.find(m.Dst, seen.follow(t, pkt, m.Dst))
	if why != delivered {
		return v, why
	}
	if m.Proto == packet.ProtoUDP {
		if links := *v.hop.sockets.Load(); len(links) > 0 && links[m.SrcPort] != nil {
			return v, dropLinkPort
		}
	}
	if m.Len > v.hop.mtu() {
		return v, dropTooBig
	}
	return v, delivered
}

// find finds the hop of a destination that follows the rule; nil: it has no route.
func (t *table) find(dst netip.Addr, rule *rule) (*view, reason) {
	if dst.IsMulticast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil, dropMulticast
	}
	if rule == nil {
		return nil, dropNoRoute
	}
	v := rule.pick()
	switch {
	case v == nil:
		return nil, dropRejected
	case v.hop.isDown():
		if rule.plan.onDown == Drop {
			return v, dropDownSilent
		}
		return v, dropDown
	case v.outward(dst) == nil:
		return v, dropFamily
	}
	return v, delivered
}

// translate makes pkt one of the hop's: its source becomes the hop's address.
func (v *view) translate(pkt []byte, m *packet.Meta) reason {
	if m.TCPFlags&packet.FlagSYN != 0 {
		v.hop.clampMSS(pkt, m, true)
	}
	return verdict(v.outward(m.Dst).Source(pkt, m))
}

// enqueue puts packets into the ring of a hop. It waits for room at the start
// of a stall only; then it drops until the device has taken half a ring. Its patience
// is for a batch: more packets than that, of a super-packet, may take as long for each
// of eight batches, but no longer than stallWait in all.
func (r *Router) enqueue(h *hop, t *table, pkts [][]byte) {
	p := h.port.Load()
	if p == nil {
		h.drops.add(dropDown, len(pkts))
		return
	}
	var deadline, end time.Time
	for batch := 0; len(pkts) > 0; {
		if p.stuck && p.in.Released() < p.until {
			break
		}
		p.stuck = false
		v := p.in.Reserve(&p.fromUp, len(pkts))
		gen := p.generation.Load()
		for i := range v.N {
			s := v.Slot(i)
			copy(s.SetSize(len(pkts[i])), pkts[i])
			s.Meta = origin{generation: gen}
		}
		v.Commit(v.N)
		if pkts = pkts[v.N:]; len(pkts) == 0 {
			return
		}
		if batch += v.N; deadline.IsZero() || batch >= rootBatch {
			now, patience := time.Now(), r.patience(h, t)
			if batch = 0; end.IsZero() {
				end = now.Add(min(8*patience, stallWait))
			}
			if deadline = now.Add(patience); deadline.After(end) {
				deadline = end
			}
		}
		left := time.Until(deadline)
		if left <= 0 || p.in.Closed() || r.hurried.Load() {
			p.stuck, p.until = true, p.in.Released()+ringSlots/2
			break
		}
		p.in.Wait(&p.fromUp, 1, left, r.waiters)
	}
	h.drops.add(dropRingFull, len(pkts))
}

// patience returns how long the TUN reader may wait for h.
func (r *Router) patience(h *hop, t *table) time.Duration {
	now := r.clock()
	for _, root := range t.roots {
		if !h.depends(root) && root.used.Load() != 0 && now-root.used.Load() < int64(stallWait) {
			return sharedWait
		}
	}
	return stallWait
}

// readTUN forwards the packets of whatever TUN is set, until the router closes
// or a TUN fails.
func (r *Router) readTUN() error {
	for {
		set := r.tun.Load()
		if set == nil {
			select {
			case <-r.tunSet:
				continue
			case <-r.closing:
				return nil
			}
		}
		err := r.forward(set.dev)
		select {
		case <-r.closing:
			return nil
		default:
		}
		if r.tun.Load() == set {
			return fmt.Errorf("router: reading TUN %s: %w", set.name, err)
		}
	}
}
