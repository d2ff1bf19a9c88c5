package router

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestStalledPeer: one peer of a hop has no session, and its window is full; the
// other peer goes on as if it were alone.
func TestStalledPeer(t *testing.T) {
	rate := func(stalled bool) (got int) {
		r := New(nil)
		p := twoPeers(t, r)
		p.size = 256
		p.peers.Load().out[0].flush = func() {}
		if stalled {
			p.peers.Load().out[0].in.Store(256)
			p.peers.Load().out[0].moved.Store(r.clock())
		}
		var wg sync.WaitGroup
		sent := make(chan uint64, 64)
		wg.Go(func() { // sends for the other peer, nearly all the time
			for n := range sent {
				f := p.flightOf(n, true)
				f.begun.Add(1)
				time.Sleep(50 * time.Microsecond)
				f.ended.Add(1)
				p.leaveOut(n)
			}
		})
		wg.Go(func() { // reads as a device does
			defer close(sent)
			bufs, sizes := arrays(128), make([]int, 128)
			for {
				n, err := p.Read(bufs, sizes, 16)
				if err != nil {
					return
				}
				last := uint64(0)
				for i := range n {
					if s, _ := stamped(bufs[i]); s>>seqBits == 1 {
						got++
						last = s
					} else {
						p.leaveOut(s)
					}
				}
				if last != 0 {
					sent <- last
				}
			}
		})
		packet := func(dst netip.Addr) []byte {
			return udp(netip.AddrPortFrom(p.hop.addr4, 4000), netip.AddrPortFrom(dst, 7), make([]byte, 1000))
		}
		var batch [][]byte
		for range 31 {
			batch = append(batch, packet(nearNet.Addr().Next()))
		}
		batch = append(batch, packet(farNet.Addr().Next()))
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			lost := p.hop.drops[dropRingFull].Load()
			r.enqueue(p.hop, r.table.Load(), batch)
			if p.hop.drops[dropRingFull].Load() > lost { // a host's queue would slow its programs
				time.Sleep(time.Millisecond)
			}
		}
		must(t, p.Close())
		wg.Wait()
		if stalled && p.hop.drops[dropNoSession].Load() == 0 {
			t.Error("nothing was dropped as no_session: the test shows nothing")
		}
		return got
	}
	alone, beside := rate(false), rate(true)
	t.Logf("packets of the other peer: %d, beside a stalled one %d", alone, beside)
	if beside < alone/10 { // batches are shorter beside it; it was a fiftieth
		t.Error("a stalled peer holds up the other")
	}
}

// TestStuckIsForgotten: the TUN reader gave up once; a link that keeps the ring
// more than half full must not keep it out for ever.
func TestStuckIsForgotten(t *testing.T) {
	r := New(nil)
	p := twoPeers(t, r)
	p.peers.Load().lpm = nil
	near := nearNet.Addr().Next()
	s := &socket{hop: p.hop, stop: make(chan struct{}), port: 20000}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // the carrier's device, the bottleneck, which pauses once
		for start, paused := time.Now(), false; ; {
			v := p.in.Peek(128)
			if v.N == 0 {
				select {
				case <-p.in.Ready():
				case <-quit:
					return
				}
				continue
			}
			if !paused && time.Since(start) > 300*time.Millisecond {
				paused = true
				time.Sleep(2 * stallWait)
			}
			time.Sleep(200 * time.Microsecond)
			v.Release(v.N)
		}
	})
	wg.Go(func() { // a link that uploads
		batch := make([][]byte, 64)
		for i := range batch {
			batch[i] = make([]byte, 1000)
		}
		for {
			select {
			case <-quit:
				return
			default:
				s.send(batch, netip.AddrPortFrom(near, 51820), linkWait, func() bool { return true })
			}
		}
	})
	pkt := udp(netip.AddrPortFrom(p.hop.addr4, 4000), netip.AddrPortFrom(near, 7), make([]byte, 1000))
	var sent, lost uint64
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(200 * time.Microsecond) {
		before := p.hop.drops[dropRingFull].Load()
		burst := 1
		if time.Since(start) < time.Second { // enough to fill the TUN's half in the pause
			burst = 16
		}
		r.enqueue(p.hop, r.table.Load(), slices.Repeat([][]byte{pkt}, burst))
		if burst == 1 {
			sent++
			lost += p.hop.drops[dropRingFull].Load() - before
		}
	}
	if p.hop.drops[dropRingFull].Load() == 0 {
		t.Error("the TUN reader never gave up: the test shows nothing")
	}
	close(quit)
	must(t, p.Close())
	wg.Wait()
	t.Logf("after the pause: %d sent, %d lost", sent, lost)
	if lost > sent/2 {
		t.Errorf("%d of %d packets were dropped long after the pause", lost, sent)
	}
}
