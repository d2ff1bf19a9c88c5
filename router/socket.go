package router

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"multihop/internal/frag"
	"multihop/internal/queue"
	"multihop/packet"
)

// Ports of sockets inside tunnels are chosen from a range that no system's
// ephemeral ports touch (Linux: 32768-60999, others: 49152-65535), since
// translation keeps the ports of the host's programs.
const (
	firstLinkPort = 20000
	lastLinkPort  = 32767
)

// linkSlots is the number of datagrams that wait in a socket: what comes in while
// the device behind it gets no processor for some 20 ms. With 512 a bulk download
// through two hops lost 2 to 4 % of its packets on a busy machine.
const linkSlots = 4096

// A socket is a UDP socket inside a hop's tunnel, bound to the hop's tunnel
// address and a port. Its packets never meet the route table.
type socket struct {
	hop  *hop // whose tunnel it is in
	port uint16
	user *hop                        // whose link it is; nil: a ListenUDP socket
	rx   *queue.Ring[netip.AddrPort] // payloads, with where they came from
	in   queue.Producer              // port.Write, towards rx
	out  atomic.Pointer[share]       // towards the ring of the hop's port
	stop chan struct{}
	once sync.Once

	// Of the carrier's port, which waits while rx is far behind: what rx had released
	// when it looked last, and the Router.clock of when that had changed; 0: it is not
	// far behind.
	eased atomic.Uint64
	moved atomic.Int64

	epoch atomic.Uint32 // raised when what waits in the ring must not leave any more
}

// A share is a socket's place in the ring of one port.
type share struct {
	port *port
	queue.Producer
}

// producer returns the socket's share of p's ring; a restarted device has a
// new one.
func (s *socket) producer(p *port) *queue.Producer {
	sh := s.out.Load()
	if sh == nil || sh.port != p {
		sh = &share{port: p}
		s.out.Store(sh)
	}
	return &sh.Producer
}

// sockets are those of one hop, by port. Immutable.
type sockets map[uint16]*socket

// closedLinks are the ports of links of one hop that were closed lately, with the
// Router.clock of that: what is still under way for them is nobody's forgery.
// Immutable.
type closedLinks map[uint16]int64

// closedWait is how long a closed link is remembered.
const closedWait = 5 * time.Second

// with returns what is remembered at now, and that port besides.
func (all closedLinks) with(port uint16, now int64) closedLinks {
	next := closedLinks{port: now}
	for p, at := range all {
		if p != port && now-at < int64(closedWait) {
			next[p] = at
		}
	}
	return next
}

// wasLink reports whether a packet from the hop is for a link that has just been
// closed.
func (h *hop) wasLink(m *packet.Meta) bool {
	at, ok := (*h.closed.Load())[m.DstPort]
	return ok && m.Proto == packet.ProtoUDP && m.Dst == h.addr(m.Dst) && h.r.clock()-at < int64(closedWait)
}

// listen binds a socket to a port of h's tunnel; 0: one is chosen. user is the
// hop whose link it is, if it is one. A removed hop
// has no sockets: the error is net.ErrClosed.
func (h *hop) listen(port uint16, user *hop) (*socket, error) {
	h.socketMu.Lock()
	defer h.socketMu.Unlock()
	if h.isGone() {
		return nil, fmt.Errorf("router: hop %s: %w", h.name, net.ErrClosed)
	}
	if h.pieces.Load() == nil {
		h.pieces.Store(frag.NewReassembler(nil))
	}
	old := *h.sockets.Load()
	if port != 0 && old[port] != nil {
		return nil, fmt.Errorf("router: port %d inside hop %s is in use", port, h.name)
	}
	for tries := 0; port == 0; tries++ {
		p := uint16(firstLinkPort + rand.IntN(lastLinkPort-firstLinkPort+1))
		if old[p] == nil {
			port = p
		} else if tries == 10000 {
			return nil, fmt.Errorf("router: no free port inside hop %s", h.name)
		}
	}
	s := &socket{hop: h, port: port, user: user, rx: queue.New[netip.AddrPort](linkSlots, 0), stop: make(chan struct{})}
	all := make(sockets, len(old)+1)
	for k, v := range old {
		all[k] = v
	}
	all[port] = s
	h.sockets.Store(&all)
	return s, nil
}

// most returns the bytes of the largest payload that is taken. Slots keep their
// size: a stranger must not make them all large.
func (s *socket) most() int {
	if s.user == nil {
		return 65535
	}
	return max(2*s.user.conf().MTU, 2048)
}

// close unbinds s and wakes who waits on it. It is idempotent.
func (s *socket) close() {
	s.once.Do(func() {
		h := s.hop
		h.socketMu.Lock()
		all := make(sockets)
		for k, v := range *h.sockets.Load() {
			if v != s {
				all[k] = v
			}
		}
		h.sockets.Store(&all)
		if s.user != nil {
			next := h.closed.Load().with(s.port, h.r.clock())
			h.closed.Store(&next)
		}
		h.socketMu.Unlock()
		close(s.stop)
		s.epoch.Add(1) // only now: what is sent later sees that s is closed
		s.rx.Close()
		if p := h.port.Load(); p != nil {
			p.in.Wake()
		}
	})
}

func (s *socket) closed() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// isStale reports whether what came in that epoch must not leave any more. A
// handshake has no route that could have changed: it may, unless s is closed.
func (s *socket) isStale(epoch uint32, control bool) bool {
	return epoch != s.epoch.Load() && (!control || s.closed())
}

// source returns the address of s as a peer of that address's family sees it.
func (s *socket) source(dst netip.Addr) (netip.AddrPort, bool) {
	a := s.hop.addr(dst)
	return netip.AddrPortFrom(a, s.port), a.IsValid()
}

// send encapsulates payloads and puts them into the ring of the hop's port. It
// waits for room for at most wait in all, or until more reports false, and
// drops what finds none. It returns the number of payloads dropped.
func (s *socket) send(payloads [][]byte, dst netip.AddrPort, wait time.Duration, more func() bool) (int, reason) {
	p := s.hop.port.Load()
	src, ok := s.source(dst.Addr())
	if p == nil || !ok || s.hop.isDown() {
		return len(payloads), dropCarrierDown
	}
	over := packet.UDPOverhead(dst.Addr())
	out := s.producer(p)
	epoch := s.epoch.Load()
	if s.closed() {
		return len(payloads), dropCarrierDown
	}
	limit := s.fragmentAt() - over
	var deadline time.Time
	for len(payloads) > 0 {
		need := 1
		if len(payloads[0]) > limit {
			if need = s.sendPieces(p, out, payloads[0], src, dst, limit+over, epoch); need == 0 {
				payloads = payloads[1:]
				continue
			}
		}
		fit := 0
		for need == 1 && fit < len(payloads) && len(payloads[fit]) <= limit {
			fit++
		}
		v := p.in.Reserve(out, fit)
		for i := range v.N {
			slot := v.Slot(i)
			b := slot.SetSize(over + len(payloads[i]))
			copy(b[over:], payloads[i])
			packet.PutUDP(b, src, dst, len(payloads[i]), true)
			slot.Meta = origin{s, epoch}
		}
		v.Commit(v.N)
		payloads = payloads[v.N:]
		if len(payloads) == 0 {
			break
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(wait)
		}
		left := deadline.Sub(now)
		if left <= 0 || !more() || p.in.Closed() {
			return len(payloads), dropCarrierFull
		}
		p.in.Wait(out, need, left, s.hop.r.waiters)
	}
	return 0, delivered
}

// fragmentAt returns the size of the packets beyond which the socket's datagrams
// are fragmented: that of the largest that there is where they never are.
func (s *socket) fragmentAt() int {
	if s.user == nil || !s.user.conf().Fragment {
		return maxPacket
	}
	limit := s.hop.mtu()
	if known := s.user.knownPath(); known != 0 {
		limit = min(limit, known)
	}
	return limit
}

// sendPieces puts one datagram into p's ring in fragments of at most limit
// bytes, as a host does that sends more than its interface's MTU. It returns 0,
// or the number of packets that there is no room for now.
func (s *socket) sendPieces(p *port, out *queue.Producer, payload []byte, src, dst netip.AddrPort, limit int, epoch uint32) int {
	var m packet.Meta
	over := packet.UDPOverhead(dst.Addr())
	scratch := s.hop.r.pieces.Get().(*pieceScratch)
	defer s.hop.r.pieces.Put(scratch)
	whole := scratch.whole[:over+len(payload)]
	copy(whole[over:], payload)
	packet.PutUDP(whole, src, dst, len(payload), false)
	if m.Parse(whole) != packet.OK {
		s.user.drops.add(dropMalformed, 1)
		return 0
	}
	head := m.L4
	if m.Version == 6 {
		head += 8 // the fragment header
	}
	per := (limit - head) &^ 7
	n := (len(whole) - m.L4 + per - 1) / per
	v := p.in.Reserve(out, n)
	if v.N < n {
		v.Commit(0)
		return n
	}
	scratch.pieces = slices.Grow(scratch.pieces[:0], n)[:n]
	pieces := scratch.pieces
	for i := range pieces {
		pieces[i] = v.Slot(i).SetSize(limit)
	}
	ok := false
	if m.Version == 4 {
		_, ok = frag.Split4(pieces, whole, &m, limit)
	} else {
		_, ok = frag.Split6(pieces, whole, &m, limit, rand.Uint32())
	}
	if !ok {
		v.Commit(0)
		s.user.drops.add(dropTooBig, 1)
		return 0
	}
	for i := range pieces {
		v.Slot(i).SetSize(len(pieces[i]))
		v.Slot(i).Meta = origin{s, epoch}
	}
	v.Commit(n)
	return 0
}

// A pieceScratch is what cutting one datagram needs.
type pieceScratch struct {
	whole  [65535 + 48]byte
	pieces [][]byte
}

func newPieceScratch() any { return new(pieceScratch) }

// receive copies up to len(bufs) waiting payloads. It waits for the first; its
// only error is net.ErrClosed. from is called for each.
func (s *socket) receive(bufs [][]byte, sizes []int, from func(i int, a netip.AddrPort)) (int, error) {
	for {
		if s.closed() {
			return 0, net.ErrClosed
		}
		if v := s.rx.Peek(len(bufs)); v.N > 0 {
			for i := range v.N {
				slot := v.Slot(i)
				sizes[i] = copy(bufs[i], slot.Packet)
				from(i, slot.Meta)
			}
			v.Release(v.N)
			return v.N, nil
		}
		select {
		case <-s.rx.Ready():
		case <-s.stop:
		}
	}
}

func errReceive(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return errors.New("its socket was closed by somebody else")
	}
	return fmt.Errorf("receiving: %w", err)
}
