package router

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"multihop/packet"
)

// A stream is steady traffic to one address, each packet with a number, and what came
// of it.
type stream struct {
	next uint32 // number of the last one

	mu      sync.Mutex      // guards the rest while it is sent
	arrived map[uint32]bool // at a relay, decapsulated
	replied map[uint32]bool // on the TUN
}

// number returns that of a packet of the stream; 0: it is of none.
func (s *stream) number(pkt []byte) uint32 {
	var m packet.Meta
	if m.Parse(pkt) != packet.OK || m.Proto != packet.ProtoUDP || m.SrcPort != streamPort && m.DstPort != streamPort {
		return 0
	}
	if b, ok := packet.UDPPayload(pkt, &m); ok && len(b) >= 4 {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

const streamPort = 4002 // of the programs

// tap notes what the relays let out.
func (s *stream) tap(sent bool, pkt []byte) {
	if n := s.number(pkt); sent && n != 0 {
		s.mu.Lock()
		s.arrived[n] = true
		s.mu.Unlock()
	}
}

// counts returns how many packets arrived, and how many replies came.
func (s *stream) counts() (arrived, replied int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived), len(s.replied)
}

// send sends some 4000 packets a second to dst, and takes the replies, until it is
// stopped; then it takes those that are on their way.
func (s *stream) send(l *lab, dst netip.Addr) (stop func()) {
	s.mu.Lock()
	s.arrived, s.replied = make(map[uint32]bool), make(map[uint32]bool)
	s.mu.Unlock()
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			for range 4 {
				s.next++
				b := binary.BigEndian.AppendUint32(make([]byte, 0, 200), s.next)
				l.send(udp(netip.AddrPortFrom(l.tunAddr(dst), streamPort), netip.AddrPortFrom(dst, 7), b[:200]))
			}
		}
	})
	var reading sync.WaitGroup
	ended := make(chan struct{})
	reading.Go(func() {
		for {
			if n := s.number(l.recv(100 * time.Millisecond)); n != 0 {
				s.mu.Lock()
				s.replied[n] = true
				s.mu.Unlock()
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
		for before := -1; ; time.Sleep(500 * time.Millisecond) {
			_, n := s.counts()
			if n == before {
				break
			}
			before = n
		}
		close(ended)
		reading.Wait()
	}
}

// TestSwitchLosesNothing: where a group switches between hops that both work, because
// the preferred one takes over again, all packets of its route arrive, but for those
// that a busy machine still has inside the hop that is left, or its carrier, when that
// is settled; they are counted. Of the replies, those on their way through that hop are
// dropped, as spoof. So it is where the active hop is taken down.
func TestSwitchLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	p.cfg.Groups[1].Return = time.Second
	p.cfg.Hops[1].Down = true
	p.start()
	far := farNet.Addr().Next()
	p.through(t, far, siblingTunnel, 10*time.Second)
	var s stream
	lost := func() (n int) { // on the way out
		for _, h := range p.r.Status().Hops {
			for _, name := range []string{"down", "stale", "device_out", "carrier_down", "send_error"} {
				n += int(h.Drops[name])
			}
		}
		return n
	}
	p.exit.Inside().Tap(s.tap)
	p.sibling.Inside().Tap(s.tap)

	stop := s.send(p.lab, far)
	p.cfg.Hops[1].Down = false
	p.apply()
	eventually(t, 40*time.Second, "the preferred hop takes over again", func() bool { return p.group("out").Active == "exit" })
	for i := range 20 {
		time.Sleep(20 * time.Millisecond)
		g := p.r.table.Load().group("out")
		p.r.switchTo(g, g.views[1-i%2], "a test")
	}
	time.Sleep(100 * time.Millisecond)
	stop()
	arrived, replied := s.counts()
	late := p.hop("exit").Drops["spoof"] + p.hop("sibling").Drops["spoof"]
	inside := lost()
	t.Logf("%d switches: %d packets sent, %d arrived, %d were inside; %d replies, %d came too late",
		len(p.switches("out")), s.next, arrived, inside, replied, late)
	const messages = 50 // at most: WireGuard's own, which are counted if they were inside
	if n := arrived + inside; n < int(s.next) || n > int(s.next)+messages || inside > int(s.next)/5 {
		t.Errorf("%d packets of %d are lost, %d of them inside: %+v", int(s.next)-arrived, s.next, inside, p.r.Status().Hops)
	}
	if n := replied + int(late); (n > arrived || n < arrived*49/50) && !raceEnabled { // the internet in memory has queues that drop
		t.Errorf("%d replies of %d, and %d came too late: %+v", replied, arrived, late, p.r.Status().Hops)
	}

	s.next = 0
	g := p.r.table.Load().group("out")
	p.r.switchTo(g, g.views[0], "a test")
	before := lost() // exact: it is idle
	stop = s.send(p.lab, far)
	time.Sleep(100 * time.Millisecond)
	p.cfg.Hops[1].Down = true
	p.apply()
	time.Sleep(100 * time.Millisecond)
	stop()
	arrived, _ = s.counts()
	t.Logf("taken down: %d packets sent, %d arrived, %d dropped", s.next, arrived, lost()-before)
	if n := arrived + lost() - before; n < int(s.next) || n > int(s.next)+messages {
		t.Errorf("%d packets arrived of %d, and %d were dropped: %+v", arrived, s.next, lost()-before, p.r.Status().Hops)
	}
}
