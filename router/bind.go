package router

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// A meteredBind is the conn.Bind of every hop. It wraps the hop's transport,
// UDP sockets or a link, and adds what wireguard-go does not do: the window
// (see window.go), counters, errors that never end a receive routine silently,
// and release, which frees a Send that waits.
type meteredBind struct {
	transport conn.Bind
	port      *port

	mu       sync.Mutex    // guards done
	done     chan struct{} // closed by release; nil: not open
	released atomic.Bool
}

var _ conn.Bind = (*meteredBind)(nil)

// Open opens the transport anew.
func (b *meteredBind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.release()
	fns, actual, err := b.transport.Open(port)
	if err != nil {
		return nil, 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.port.hop.r.isClosing() { // whoever closes has released already
		return nil, 0, errors.Join(net.ErrClosed, b.transport.Close())
	}
	b.done = make(chan struct{})
	b.released.Store(false)
	for i, fn := range fns {
		fns[i] = b.receive(fn, b.done)
	}
	b.port.hop.listenPort.Store(uint32(actual))
	return fns, actual, nil
}

// release closes the transport without the device's locks, so that a Send or
// receive function which waits returns. wireguard-go holds a lock across Send
// that Close, Down, BindUpdate, BindSetMark, RemovePeer and a UAPI set need:
// release comes before each of them. It is idempotent.
func (b *meteredBind) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released.Store(true)
	if b.done != nil {
		close(b.done)
		b.done = nil
	}
	// An error here leaves nothing to do: the sockets are gone either way.
	_ = b.transport.Close()
}

// Close implements conn.Bind.
func (b *meteredBind) Close() error {
	b.release()
	return nil
}

// Send sends a batch, all of one peer. What the transport refuses is counted
// and not reported: wireguard-go would log it per batch and skip the check
// that keeps the session fresh.
func (b *meteredBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	p := b.port
	var data int
	var first, seq uint64
	var known bool
	for _, buf := range bufs { // before the transport may append to a buffer
		if isData(buf) {
			data++
			if s, ok := stamped(buf); ok {
				if !known {
					first = s
				}
				seq, known = s, true
			}
		}
	}
	err := net.ErrClosed
	stale := 0
	if !b.released.Load() {
		f := p.flightOf(seq, known)
		f.begun.Add(1)
		if known && (p.isStale(first) || p.isStale(seq)) { // seldom; numbers ascend
			bufs, stale = p.withoutStale(bufs)
		}
		if err = nil; len(bufs) > 0 {
			err = b.transport.Send(bufs, ep)
		}
		f.ended.Add(1)
	}
	if known {
		p.leaveOut(seq)
	}
	p.hop.left.Add(uint64(data))
	if err != nil {
		err = afterRetry(err)
	}
	if err == nil {
		p.hop.used.Store(p.hop.r.clock())
		return nil
	}
	p.hop.drops.add(dropSendError, data-stale)
	if !b.released.Load() && !errors.Is(err, net.ErrClosed) {
		p.hop.sendFailed(err)
	}
	if errors.Is(err, errMixed) { // a peer has roamed: only new sockets help
		p.hop.fail(p, err)
	}
	return nil
}

// withoutStale returns the buffers whose packets may still leave, and counts the
// others.
func (p *port) withoutStale(bufs [][]byte) (rest [][]byte, stale int) {
	kept := slices.DeleteFunc(slices.Clone(bufs), func(b []byte) bool {
		s, ok := stamped(b)
		return ok && isData(b) && p.isStale(s)
	})
	stale = len(bufs) - len(kept)
	p.hop.drops.add(dropStale, stale)
	return kept, stale
}

// afterRetry returns what became of a batch that the transport sent again
// without GSO, else err.
func afterRetry(err error) error {
	if gso, ok := errors.AsType[conn.ErrUDPGSODisabled](err); ok {
		return gso.RetryErr
	}
	return err
}

// receiveRetries is how many receive errors in a row make a bind dead.
const receiveRetries = 10

// receive wraps a receive function: it waits while the device is full of
// packets, and a moment if a hop inside is behind; it stamps what it received, and
// ends only with net.ErrClosed, having told the supervisor if that was not our
// doing.
func (b *meteredBind) receive(fn conn.ReceiveFunc, done <-chan struct{}) conn.ReceiveFunc {
	last := 0 // how many buffers the device has replaced, or used up, since
	return func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		for _, buf := range bufs[:last] {
			b.port.freed(buf)
		}
		last = 0
		if !b.port.admitIn(done) {
			return 0, net.ErrClosed
		}
		b.port.ease()
		odd := 0
		for failures := 1; ; failures++ {
			n, err := fn(bufs, sizes, eps)
			if err == nil {
				b.port.enterIn(bufs[:n], sizes[:n])
				last = n
				return n, nil
			}
			var of net.Error
			if !errors.As(err, &of) { // about what arrived, which it cost; not about the socket
				failures = 0
				if odd++; odd > 100 { // whatever the transport is up to, do not spin
					time.Sleep(time.Millisecond)
				}
				if !b.released.Load() {
					continue
				}
			}
			select {
			case <-done:
				return 0, net.ErrClosed
			default:
			}
			if failures == receiveRetries || errors.Is(err, net.ErrClosed) {
				b.port.hop.fail(b.port, errReceive(err))
				return 0, net.ErrClosed
			}
			select {
			case <-done:
				return 0, net.ErrClosed
			case <-time.After(time.Duration(failures) * 10 * time.Millisecond):
			}
		}
	}
}

// SetMark implements conn.Bind.
func (b *meteredBind) SetMark(mark uint32) error { return b.transport.SetMark(mark) }

// ParseEndpoint implements conn.Bind.
func (b *meteredBind) ParseEndpoint(s string) (conn.Endpoint, error) {
	return b.transport.ParseEndpoint(s)
}

// BatchSize implements conn.Bind.
func (b *meteredBind) BatchSize() int { return b.transport.BatchSize() }
