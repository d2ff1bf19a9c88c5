package router

import (
	"sync"
	"time"
)

// When routes are taken from a hop, what already went into it must not leave by
// it later. Packets in its ring are looked up again when its device reads them;
// a device that has a session sends within moments what it has read, and so do
// its carriers. But a device without a session stages packets until the next
// handshake, up to 90 s; so does each carrier with the hop's datagrams. So at
// every level, from the hop to the host's network: wait for what is inside to
// leave, and if it does not, drop it: what is staged at once, what is being
// encrypted when it comes out.
const (
	drainWait  = 100 * time.Millisecond // for the levels together
	levelWait  = 20 * time.Millisecond  // and for each that comes after one which did not
	settleWait = 300 * time.Millisecond // for a busy device to be back in Read, and for a Send to return
)

// settle makes sure that nothing that was routed through the hops before leaves
// by them after it returns.
func settle(hops []*hop) {
	var wg sync.WaitGroup
	for _, h := range hops {
		wg.Go(h.settle) // waits, with bounds
	}
	wg.Wait()
}

func (h *hop) settle() {
	p := h.port.Load()
	if p == nil {
		return
	}
	deadline := time.Now().Add(drainWait)
	if p.link != nil {
		p.link.hurry()
		defer p.link.resume()
	}
	p.generation.Add(1)
	h.backInRead(p)
	if !p.drain(deadline) {
		h.purge(p)
		deadline = time.Now().Add(levelWait)
	}
	settleCarriers(h.via(), p.socket(), deadline)
}

// settleCarriers does so for the datagrams of a link, through socket s, in hop c
// and those that carry it. A nil s is a link that is closed: its datagrams in a
// ring are dropped anyway.
func settleCarriers(c *hop, s *socket, deadline time.Time) {
	for ; c != nil; c = c.via() {
		p := c.port.Load()
		if p == nil {
			return // what it had is gone with it
		}
		if !p.passed(deadline) || !p.drain(deadline) {
			if s != nil {
				s.epoch.Add(1)
			}
			c.backInRead(p)
			c.purge(p)
			deadline = time.Now().Add(levelWait)
		}
		s = p.socket()
	}
}

// socket returns the socket of the hop's link; nil: there is none.
func (p *port) socket() *socket {
	if p.link == nil {
		return nil
	}
	return p.link.cur.Load()
}

// backInRead waits until the device has handed on all that it has read.
func (h *hop) backInRead(p *port) {
	if p.readAgain(settleWait) {
		return
	}
	if p.link == nil { // its UDP socket blocks: a new one lets the device go on
		if err := h.rebind(); err != nil {
			h.fail(p, err)
			return
		}
	}
	if !p.readAgain(settleWait) {
		h.r.log.Warn("a device is busy: packets of earlier routes may leave late", "hop", h.name)
	}
}

// readAgain waits until the device is inside Read, in a call that began after
// all that it has read was handed on. It reports false if that took longer
// than d.
func (p *port) readAgain(d time.Duration) bool {
	state := func() (reads uint64, parked bool) {
		p.reading.Lock()
		defer p.reading.Unlock()
		return p.reads, p.parked
	}
	before, _ := state()
	return waitFor(time.Now().Add(d), func() (done, hopeless bool) {
		reads, parked := state()
		return parked || reads > before || p.in.Closed(), false
	})
}

// drain waits until every packet that is inside the device now has left it. It
// reports false if that does not happen by the deadline, or will not: a full
// flight that stands still waits for a session.
func (p *port) drain(deadline time.Time) bool {
	out := p.peers.Load().out
	marks := make([]uint64, len(out))
	for i, f := range out {
		marks[i] = f.in.Load()
	}
	return waitFor(deadline, func() (done, hopeless bool) {
		done = true
		for i, f := range out {
			if f.out.Load() >= marks[i] {
				continue
			}
			done = false
			still := p.hop.r.clock() - f.moved.Load()
			hopeless = hopeless || still > int64(stallAfter) && !f.sending()
		}
		return done, hopeless
	})
}

// passed waits until the device has read every data packet that is in the ring
// now, and reports whether it has by the deadline.
func (p *port) passed(deadline time.Time) bool {
	mark := p.in.Put()
	return waitFor(deadline, func() (done, hopeless bool) { return p.in.Released() >= mark, p.in.Closed() })
}

// waitFor polls until the condition is done, or hopeless, or time is up.
func waitFor(deadline time.Time, condition func() (done, hopeless bool)) bool {
	for {
		switch done, hopeless := condition(); {
		case done:
			return true
		case hopeless || time.Now().After(deadline):
			return false
		}
		time.Sleep(time.Millisecond)
	}
}

// purge drops the packets that are inside the device p now: at once those that wait
// for a session, and the others when they come out.
func (h *hop) purge(p *port) {
	now := h.r.clock()
	out := p.peers.Load().out
	for _, f := range out {
		f.expire()
		if f.flush != nil {
			f.flush()
			f.empty(now)
		}
	}
	if !p.sent(out, time.Now().Add(settleWait)) {
		if p.link != nil {
			h.r.log.Warn("a link is busy: packets of earlier routes may leave late", "hop", h.name)
		} else if err := h.rebind(); err != nil { // a new UDP socket, for one that blocks
			h.fail(p, err)
		}
	}
	if s := p.socket(); s != nil {
		s.epoch.Add(1) // for what it has sent
	}
}

// sent waits until every Send of those flights that is under way now has returned:
// later ones see what is stale. It reports false if that does not happen by the
// deadline.
func (p *port) sent(out []*flight, deadline time.Time) bool {
	begun := make([]uint64, len(out))
	for i, f := range out {
		begun[i] = f.begun.Load()
	}
	return waitFor(deadline, func() (done, hopeless bool) {
		for i, f := range out {
			if f.ended.Load() < begun[i] {
				return false, false
			}
		}
		return true, false
	})
}
