package router

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/internal/queue"
	"multihop/packet"
)

const (
	ringSlots    = 512 // data packets that wait for a device
	controlSlots = 32  // handshakes and keepalives of carried hops, beside them
	rootBatch    = 128 // packets per read of a hop on the host's network
)

// stallAfter is how long a flight must stand still, while full, before its
// packets are dropped as no_session; flushAfter, before those inside are
// dropped too. Until then they may be waiting for a handshake.
const (
	stallAfter = 100 * time.Millisecond
	flushAfter = 5 * time.Second
)

// An origin says where a packet in a port's ring came from.
type origin struct {
	from       *socket // inside the hop's tunnel; nil: the TUN
	generation uint32  // when it came: the socket's epoch, or the port's generation
}

// A port is the tun.Device between the router and one hop's device: Read gives
// the device clear packets to encrypt, Write takes those that it decrypted. A
// restarted device gets a new port.
type port struct {
	hop  *hop
	dev  *device.Device
	bind *meteredBind
	link *link // under bind, for a carried hop; nil: on the host's network

	in     *queue.Ring[origin]
	fromUp queue.Producer // the TUN reader's share of in
	stuck  bool           // the TUN reader gave up waiting; only it uses this
	until  uint64         // and drops until so many packets have left the ring

	seeker *seeker // likewise, around the link or the UDP sockets

	peers   atomic.Pointer[peering]
	unknown flight // of handshakes and keepalives
	outMov  gate
	size    uint64 // of the windows
	staged  uint64 // packets that may wait inside the device for a session

	inbound   flight // what is being decrypted
	inMov     gate
	enterMu   sync.Mutex   // IPv4 and IPv6 receive at the same time
	writing   atomic.Int32 // calls of Write under way
	wroteLast atomic.Int64 // when one ended: Router.clock

	generation atomic.Uint32
	reading    sync.Mutex  // held by Read but while it waits
	reads      uint64      // calls of Read; guarded by reading
	parked     bool        // Read waits; guarded by reading
	timer      *time.Timer // Read's

	writes sync.RWMutex // read-held by Write: Apply waits for those under way

	stop    chan struct{}
	once    sync.Once
	eventMu sync.Mutex // so that nothing is sent on events once it is closed
	events  chan wgtun.Event
}

var _ wgtun.Device = (*port)(nil)

func newPort(h *hop) *port {
	p := &port{
		hop:    h,
		in:     queue.New[origin](ringSlots, controlSlots),
		outMov: newGate(),
		size:   windowSize(h.inner),
		staged: device.QueueStagedSize,
		inMov:  newGate(),
		timer:  time.NewTimer(time.Hour),
		stop:   make(chan struct{}),
		events: make(chan wgtun.Event, 1), // EventMTUUpdate only: Device.Up is called, since EventUp hides its error
	}
	p.timer.Stop()
	p.peers.Store(newPeering(nil, h.conf().Peers))
	return p
}

// Read implements tun.Device. It waits for a packet and returns os.ErrClosed,
// and nothing else, after Close.
func (p *port) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	p.reads++
	for {
		select {
		case <-p.stop:
			return 0, os.ErrClosed
		default:
		}
		v := p.in.Peek(len(bufs))
		n, used, held := p.take(&v, bufs, sizes, offset)
		v.Release(used)
		if n > 0 {
			return n, nil
		}
		if used == 0 {
			p.park(held)
		}
	}
}

// park waits: for held to move, where a packet is held back by its window,
// else for a packet. The caller holds p.reading.
func (p *port) park(held *flight) {
	p.parked = true
	p.reading.Unlock()
	if held == nil {
		select {
		case <-p.in.Ready():
		case <-p.stop:
		}
	} else {
		p.outMov.waiting.Add(1)
		// Look again, now that open and PutControl see this waiter.
		if held.closed(held.in.Load(), p.size) && !p.in.WaitControl() {
			p.timer.Reset(stallAfter / 2)
			select {
			case <-p.outMov.token:
			case <-p.in.Ready():
			case <-p.timer.C:
				held.timeouts++
			case <-p.stop:
			}
			p.timer.Stop()
		}
		p.outMov.waiting.Add(-1)
	}
	p.reading.Lock()
	p.parked = false
}

// take moves packets of v to bufs. used is how many of v it disposed of, n how
// many of them are in bufs. held: the flight that the next one has to wait for.
func (p *port) take(v *queue.View[origin], bufs [][]byte, sizes []int, offset int) (n, used int, held *flight) {
	var lost tally
	gen := p.generation.Load()
	peers := p.peers.Load()
	fromTUN := 0
	var b burst
	for ; used < v.N; used++ {
		s := v.Slot(used)
		if s.Meta.from != nil && s.Meta.from.isStale(s.Meta.generation, v.Control()) ||
			s.Meta.from == nil && s.Meta.generation != gen && !p.stillMine(s.Packet) {
			lost[dropStale]++
			continue
		}
		i, ok := peers.find(s.Packet)
		if !ok {
			lost[dropNoPeer]++
			continue
		}
		f := peers.out[i]
		b.of(f)
		if !v.Control() && f.closed(b.newest, p.size) {
			if n > 0 || p.moving(f) {
				held = f
				break // what there is, first
			}
			if f.room(b.newest, max(p.size, p.staged)) == 0 {
				lost[dropNoSession]++
				continue
			}
		}
		sizes[n] = copy(bufs[n][offset:], s.Packet)
		stamp(bufs[n], p.enterOut(i, &b, v.Control()))
		n++
		if s.Meta.from == nil {
			fromTUN++
		}
	}
	b.publish()
	lost.flush(&p.hop.drops)
	p.hop.entered.Add(uint64(n))
	p.hop.out.Add(uint64(fromTUN))
	return n, used, held
}

// The trailer's number: outbound the peer above and the sequence below, and a bit
// for what came by the control lane; inbound a bit that no peer has and the
// sequence. Both directions share buffers.
const (
	seqBits    = 48
	controlBit = 1 << 62
	inboundBit = 1 << 63
)

// enterOut returns the number of the next packet of b, to peer i.
func (p *port) enterOut(i int, b *burst, control bool) uint64 {
	if b.newest == b.flight.out.Load() {
		b.flight.moved.Store(p.hop.r.clock()) // what stands still is timed from here
	}
	b.newest++
	n := uint64(i)<<seqBits | b.newest
	if control {
		n |= controlBit
	}
	return n
}

// isStale reports whether the outbound packet with that number must not leave any
// more. A handshake of a carried hop has no route that could have changed: it may.
func (p *port) isStale(n uint64) bool {
	return n&controlBit == 0 && n&(1<<seqBits-1) <= p.flightOf(n, true).stale.Load()
}

// flightOf returns the flight of a batch by the number of one of its packets;
// one that serves nobody where that is not known.
func (p *port) flightOf(n uint64, known bool) *flight {
	n &^= controlBit
	if out := p.peers.Load().out; known && n>>seqBits < uint64(len(out)) {
		return out[n>>seqBits]
	}
	return &p.unknown
}

// leaveOut notes that the packet with that number left the device.
func (p *port) leaveOut(n uint64) {
	if f := p.flightOf(n, true); f != &p.unknown {
		f.leave(n & (1<<seqBits - 1))
		f.moved.Store(p.hop.r.clock())
		if f.room(f.in.Load(), p.size) >= reopen(p.size) {
			p.outMov.open()
		}
	}
}

// moving reports whether a full flight may still move: whether its packets wait
// for the processor or the socket, not for a session. One that has not moved
// for flushAfter is emptied.
func (p *port) moving(f *flight) bool {
	now := p.hop.r.clock()
	if f.sending() {
		f.moved.Store(now)
		return true
	}
	moved := f.moved.Load()
	if moved != f.seen {
		f.seen, f.timeouts = moved, 0
	}
	still := time.Duration(now - moved)
	if still >= flushAfter && f.flush != nil {
		f.flush()
		f.empty(now)
		return true
	}
	// By the clock alone, a process that got no processor for a while would look
	// stalled: two time-outs give the device a turn between them.
	return still < stallAfter || f.timeouts < 2
}

// stillMine reports whether pkt, translated for this hop before the routes
// changed, would still be routed to it.
func (p *port) stillMine(pkt []byte) bool {
	var m packet.Meta
	if m.Parse(pkt) != packet.OK {
		return false
	}
	return p.hop.r.table.Load().owns(p.hop, m.Dst) && len(pkt) <= p.hop.mtu()
}

// Write implements tun.Device: it takes decrypted packets, which are valid
// until it returns, to the links and the TUN. It never fails: what is not
// delivered is counted.
func (p *port) Write(bufs [][]byte, offset int) (int, error) {
	p.writing.Add(1)
	newest := uint64(0)
	for _, b := range bufs {
		if n, ok := stamped(b); ok && n&inboundBit != 0 {
			newest = max(newest, n&^inboundBit)
		}
	}
	p.writes.RLock()
	p.hop.deliver(bufs, offset)
	p.writes.RUnlock()

	p.inbound.leave(newest)
	p.hop.decrypted.Add(uint64(len(bufs)))
	p.wroteLast.Store(p.hop.r.clock())
	p.writing.Add(-1)
	p.inMov.open()
	return len(bufs), nil
}

// Close implements tun.Device. It is idempotent.
func (p *port) Close() error {
	p.once.Do(func() {
		p.eventMu.Lock()
		close(p.stop)
		close(p.events)
		p.eventMu.Unlock()
		p.in.Close()
	})
	return nil
}

// File implements tun.Device: there is none.
func (p *port) File() *os.File { return nil }

// MTU implements tun.Device.
func (p *port) MTU() (int, error) { return p.hop.mtu(), nil }

// Name implements tun.Device.
func (p *port) Name() (string, error) { return p.hop.name, nil }

// Events implements tun.Device.
func (p *port) Events() <-chan wgtun.Event { return p.events }

// BatchSize implements tun.Device.
func (p *port) BatchSize() int {
	if p.hop.inner {
		return linkBatch
	}
	return rootBatch
}
