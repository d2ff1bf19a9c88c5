package router

import (
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// admitIn waits while the device is full of packets to decrypt. False: done.
// Garbage that nobody can decrypt never reaches Write: what became of it shows in
// the device's free buffers. If even those say nothing, and nothing comes out
// for a while, the packets are taken for lost.
func (p *port) admitIn(done <-chan struct{}) bool {
	const (
		look     = time.Millisecond
		patience = 10 * time.Millisecond
	)
	f := &p.inbound
	since := int64(0) // when the wait began
	for f.full(p.size) {
		p.inMov.waiting.Add(1)
		if f.full(p.size) {
			t := time.NewTimer(look)
			select {
			case <-p.inMov.token:
			case <-t.C:
				p.probe()
				now := p.hop.r.clock()
				if since == 0 {
					since = now
				}
				if p.writing.Load() == 0 && now-max(p.wroteLast.Load(), since) > int64(patience) {
					f.empty(now)
				}
			case <-done:
			}
			t.Stop()
		}
		p.inMov.waiting.Add(-1)
		p.inMov.open() // pass it on: IPv4 and IPv6 may both wait
		select {
		case <-done:
			return false
		default:
		}
	}
	return true
}

// ease waits for a millisecond, and reports that, if a hop inside is behind with what
// came for it: it is its turn to have the processors. Else a carrier that is itself
// behind would decrypt what waits in its socket at one go, and the hop inside, which
// got no processor meanwhile, would lose what its queue does not hold. One that has
// stood still for a while is not waited for.
func (p *port) ease() bool {
	const patience = 20 * time.Millisecond
	for _, s := range *p.hop.sockets.Load() {
		if s.user == nil {
			continue
		}
		if s.rx.Len() < linkSlots/4 {
			s.moved.Store(0)
			continue
		}
		now, moved := p.hop.r.clock(), s.moved.Load()
		if released := s.rx.Released(); s.eased.Swap(released) != released || moved == 0 {
			s.moved.Store(now)
		} else if now-moved > int64(patience) {
			continue
		}
		time.Sleep(time.Millisecond)
		return true
	}
	return false
}

// probes is how many free buffers of the device are looked at.
const probes = 4

// probe looks at a few of the device's free buffers: one that holds the number
// of an inbound packet says that this packet is done with.
func (p *port) probe() {
	if p.dev == nil {
		return
	}
	var bufs [probes]*[device.MaxMessageSize]byte
	for i := range bufs {
		bufs[i] = p.dev.GetMessageBuffer()
		p.freed(bufs[i][:])
	}
	for _, b := range bufs {
		p.dev.PutMessageBuffer(b)
	}
}

// freed learns from a buffer that the device does not use any more.
func (p *port) freed(b []byte) {
	if n, ok := stamped(b); ok && n&inboundBit != 0 {
		p.inbound.leave(n &^ inboundBit)
	}
}

// enterIn stamps the data packets among what was received.
func (p *port) enterIn(bufs [][]byte, sizes []int) {
	n := 0
	p.enterMu.Lock()
	seq := p.inbound.in.Load()
	for i, b := range bufs {
		if isData(b[:sizes[i]]) {
			n++
			seq++
			stamp(b, seq|inboundBit)
		}
	}
	p.inbound.in.Store(seq)
	p.enterMu.Unlock()
	p.hop.received.Add(uint64(n))
}
