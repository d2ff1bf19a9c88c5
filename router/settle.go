package router

import (
	"slices"
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
	settleWait = 300 * time.Millisecond // for a device that is busy sending to be back in Read
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
	var s *socket
	if p.link != nil {
		s = p.link.cur.Load()
	}
	if !p.drain(deadline) {
		p.purge(s)
	}
	settleCarriers(h.via(), s, deadline)
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
		drained := p.passed(deadline) && p.drain(deadline)
		if !drained && s != nil {
			s.epoch.Add(1)
		}
		s = nil
		if p.link != nil {
			s = p.link.cur.Load()
		}
		if !drained {
			c.backInRead(p)
			p.purge(s)
		}
	}
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
	p.reading.Lock()
	reads, parked := p.reads, p.parked
	p.reading.Unlock()
	if parked {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-p.again:
			p.reading.Lock()
			done := p.reads > reads
			p.reading.Unlock()
			if done {
				return true
			}
		case <-p.stop:
			return true
		case <-t.C:
			return false
		}
	}
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
			hopeless = hopeless || still > int64(stallAfter) && f.sending.Load() == 0
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

// purge drops the packets that are inside the device now: at once those that wait
// for a session, and the others when they come out. s is the device's link, or nil.
func (p *port) purge(s *socket) {
	now := p.hop.r.clock()
	out := p.peers.Load().out
	for _, f := range out {
		f.stale.Store(f.in.Load())
		if f.flush != nil {
			f.flush()
			f.empty(now)
		}
	}
	if s == nil {
		return
	}
	// A Send that did not see that yet ends soon: the link does not wait for long.
	waitFor(time.Now().Add(settleWait), func() (done, hopeless bool) {
		return !slices.ContainsFunc(out, func(f *flight) bool { return f.sending.Load() > 0 }), false
	})
	s.epoch.Add(1) // for what it has sent
}
