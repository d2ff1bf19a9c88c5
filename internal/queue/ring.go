package queue

import "sync"

// slotSize is what a slot's buffer starts with. It grows to what is put in.
const slotSize = 2048

// A Ring is a bounded queue of packets, each with a value of type M. It has
// buffers only for as many packets as were in it at once, and uses the last one
// first: a long ring that is mostly short stays in the processor's cache.
// Producers may be many; there is one consumer. Make one with New.
type Ring[M any] struct {
	ready chan struct{} // one token: a consumer that found nothing may look again

	fill sync.Mutex // held from Reserve to Commit, so that slots are filled in order

	mu        sync.Mutex
	data      lane[M]
	control   lane[M]
	idle      bool // the consumer waits for ready
	urgent    bool // it does so for the control lane only
	closed    bool
	put       uint64 // data packets ever
	released  uint64 // likewise
	waiters   []*waiter
	producers int      // with packets in the ring, or waiting for room
	spare     [][]byte // buffers of free slots, the last used one on top
}

// A Slot is one packet. Its bytes belong to the producer from Reserve to
// Commit and to the consumer from Peek to Release.
type Slot[M any] struct {
	Packet []byte // the packet; SetSize makes it
	Meta   M
	buf    []byte
	from   *Producer
}

// SetSize makes s.Packet n bytes long, with undefined content.
func (s *Slot[M]) SetSize(n int) []byte {
	if n > cap(s.buf) {
		size := slotSize
		for size < n {
			size *= 2
		}
		s.buf = make([]byte, size)
	}
	s.Packet = s.buf[:n]
	return s.Packet
}

// lane is a circular array of slots. Guarded by Ring.mu, but for the slots
// that a reservation or a peek covers.
type lane[M any] struct {
	slots []Slot[M]
	head  int // of the oldest
	n     int
}

func (l *lane[M]) at(i int) *Slot[M] {
	i += l.head
	if i >= len(l.slots) {
		i -= len(l.slots)
	}
	return &l.slots[i]
}

func (l *lane[M]) drop(n int) {
	l.head += n
	if l.head >= len(l.slots) {
		l.head -= len(l.slots)
	}
	l.n -= n
}

// A Producer is one source of packets of a ring, for its fair share: while
// others are active too, it holds at most half of the slots. The zero value is
// ready; it must not serve two rings at once.
type Producer struct {
	held    int // guarded by Ring.mu
	waiting int // likewise
}

func (p *Producer) active() bool { return p.held > 0 || p.waiting > 0 }

// New returns a ring with that many slots for data and for control packets.
func New[M any](data, control int) *Ring[M] {
	return &Ring[M]{
		ready:   make(chan struct{}, 1),
		data:    lane[M]{slots: make([]Slot[M], data)},
		control: lane[M]{slots: make([]Slot[M], control)},
	}
}

// A Reservation is room for N packets of one producer, in order.
type Reservation[M any] struct {
	N    int
	ring *Ring[M]
	p    *Producer
	base int // index of the first slot, behind the packets present at Reserve
}

// Slot returns the i-th reserved slot, 0 <= i < N.
func (v *Reservation[M]) Slot(i int) *Slot[M] {
	i += v.base
	if n := len(v.ring.data.slots); i >= n {
		i -= n
	}
	return &v.ring.data.slots[i]
}

// Reserve reserves room for up to want packets of p: as many as fit now, which
// may be none. Commit must follow soon: it lets the other producers in.
func (r *Ring[M]) Reserve(p *Producer, want int) Reservation[M] {
	r.fill.Lock()
	r.mu.Lock()
	n := min(want, r.roomLocked(p))
	base := r.data.head + r.data.n
	if base >= len(r.data.slots) {
		base -= len(r.data.slots)
	}
	v := Reservation[M]{N: n, ring: r, p: p, base: base}
	top := len(r.spare)
	for i := 0; i < n && top > 0; i++ {
		if s := v.Slot(i); s.buf == nil {
			top--
			s.buf = r.spare[top]
		}
	}
	r.spare = r.spare[:top]
	r.mu.Unlock()
	return v
}

// Commit publishes the first n reserved slots and gives the others back.
func (v *Reservation[M]) Commit(n int) {
	r := v.ring
	if n > 0 {
		r.mu.Lock()
		for i := range n {
			v.Slot(i).from = v.p
		}
		was := v.p.active()
		v.p.held += n
		r.countLocked(was, v.p)
		r.data.n += n
		r.put += uint64(n)
		r.signalLocked()
		r.mu.Unlock()
	}
	if n < v.N {
		r.mu.Lock()
		for i := v.N - 1; i >= n; i-- {
			r.giveLocked(v.Slot(i))
		}
		r.mu.Unlock()
	}
	r.fill.Unlock()
}

// giveLocked takes the buffer of a slot that is free again.
func (r *Ring[M]) giveLocked(s *Slot[M]) {
	if s.buf != nil {
		r.spare = append(r.spare, s.buf)
		s.buf, s.Packet = nil, nil
	}
}

// roomLocked returns how many packets p may put now.
func (r *Ring[M]) roomLocked(p *Producer) int {
	if r.closed {
		return 0
	}
	room := len(r.data.slots) - r.data.n
	others := r.producers
	if p.active() {
		others--
	}
	if others > 0 {
		room = min(room, len(r.data.slots)/2-p.held)
	}
	return max(room, 0)
}

// countLocked keeps r.producers after p.held or p.waiting changed.
func (r *Ring[M]) countLocked(was bool, p *Producer) {
	if now := p.active(); now != was {
		if now {
			r.producers++
		} else {
			r.producers--
		}
	}
}

func (r *Ring[M]) signalLocked() {
	if r.idle {
		r.idle = false
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
}

// PutControl puts a packet of size bytes, which write fills in, into the control
// lane. It never waits: false means that the lane is full or the ring closed.
// write is called with the ring locked.
func (r *Ring[M]) PutControl(size int, meta M, write func([]byte)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.control.n == len(r.control.slots) {
		return false
	}
	s := r.control.at(r.control.n)
	write(s.SetSize(size))
	s.Meta = meta
	r.control.n++
	r.idle = r.idle || r.urgent
	r.signalLocked()
	return true
}

// A View is what Peek found: N packets of one lane, oldest first.
type View[M any] struct {
	N    int
	ring *Ring[M]
	lane *lane[M]
}

// Slot returns the i-th packet of the view, 0 <= i < N.
func (v *View[M]) Slot(i int) *Slot[M] { return v.lane.at(i) }

// Peek returns up to limit packets, those of the control lane first. Where it
// finds none, Ready will get a token when that changes. For the consumer only.
func (r *Ring[M]) Peek(limit int) View[M] {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.data
	if r.control.n > 0 {
		l = &r.control
	}
	n := min(l.n, limit)
	r.idle, r.urgent = n == 0, false
	return View[M]{N: n, ring: r, lane: l}
}

// Control reports whether the packets are of the control lane.
func (v *View[M]) Control() bool { return v.lane == &v.ring.control }

// WaitControl makes Ready get a token when the control lane has a packet, for a
// consumer that found data which it cannot take now. It reports whether the lane
// has one already. The next Peek ends it.
func (r *Ring[M]) WaitControl() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.urgent = true
	return r.control.n > 0
}

// Release removes the first n packets of the view and lets producers know.
func (v *View[M]) Release(n int) {
	r := v.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.lane == &r.data {
		for i := range n {
			s := v.lane.at(i)
			r.giveLocked(s)
			p := s.from
			was := p.active()
			p.held--
			r.countLocked(was, p)
		}
	}
	v.lane.drop(n)
	if v.lane == &r.data && n > 0 {
		r.released += uint64(n)
		r.wakeLocked()
	}
}

// Ready has a token when a consumer whose Peek found nothing should look
// again, and after Close.
func (r *Ring[M]) Ready() <-chan struct{} { return r.ready }

// Put returns how many data packets were ever put in.
func (r *Ring[M]) Put() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put
}

// Released returns how many data packets the consumer has ever released.
func (r *Ring[M]) Released() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.released
}

// Len returns the number of packets in both lanes.
func (r *Ring[M]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data.n + r.control.n
}

// Closed reports whether Close was called.
func (r *Ring[M]) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Close makes every later Reserve and PutControl fail and wakes everyone who
// waits. Packets inside can still be taken. It is idempotent.
func (r *Ring[M]) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wakeLocked()
	r.idle = true
	r.signalLocked()
}
