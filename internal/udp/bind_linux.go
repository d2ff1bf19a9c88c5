package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// BothFamilies reports whether a bind can have peers of both families.
const BothFamilies = true

// A bind is a conn.Bind of one UDP socket per family that the host has. It is
// safe for concurrent use, but for its receive functions, each of which serves
// one goroutine.
type bind struct {
	opts    Options
	batches sync.Pool // of *sendBatch
	told    report

	mu   sync.Mutex // guards mark, and changes of open
	mark uint32     // of sockets, those of the next Open too
	open atomic.Pointer[pair]
}

// A pair is what is open at a time. Immutable.
type pair struct{ v4, v6 *socket } // at most one of them nil

var _ conn.Bind = (*bind)(nil)

func newBind(o Options) conn.Bind {
	return &bind{opts: o, batches: sync.Pool{New: newSendBatch}}
}

// Open implements conn.Bind. Port 0 chooses one that is free in both families.
func (b *bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	const tries = 100 // to find a port that IPv6 has free, too
	p, err := b.listen(port)
	for range tries {
		if port != 0 || !errors.Is(err, unix.EADDRINUSE) {
			break
		}
		p, err = b.listen(0)
	}
	if err != nil {
		return nil, 0, err
	}
	var fns []conn.ReceiveFunc
	actual := port
	for _, s := range p.sockets() {
		fns = append(fns, newReceiver(s).receive)
		actual = s.port
	}
	b.open.Store(p)
	return fns, actual, nil
}

// listen opens a socket of each family that the host has, on one port. The
// caller holds b.mu.
func (b *bind) listen(port uint16) (*pair, error) {
	p := new(pair)
	var err error
	if p.v4, err = b.socket("udp4", port); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, err
	}
	if p.v4 != nil {
		port = p.v4.port
	}
	if p.v6, err = b.socket("udp6", port); err != nil && (p.v4 == nil || !errors.Is(err, unix.EAFNOSUPPORT)) {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// sockets returns the one or two that there are.
func (p *pair) sockets() []*socket {
	var all []*socket
	for _, s := range []*socket{p.v4, p.v6} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (p *pair) close() error {
	var errs []error
	for _, s := range p.sockets() {
		errs = append(errs, s.conn.Close())
	}
	return errors.Join(errs...)
}

// Close implements conn.Bind. It is idempotent; a Send or receive function that
// waits returns net.ErrClosed.
func (b *bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.open.Swap(nil); p != nil {
		return p.close()
	}
	return nil
}

// SetMark implements conn.Bind. The mark is that of later sockets, too.
func (b *bind) SetMark(mark uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark = mark
	if p := b.open.Load(); p != nil {
		for _, s := range p.sockets() {
			if err := control(s.raw, func(fd int) error { return setMark(fd, mark) }); err != nil {
				return fmt.Errorf("udp: mark %#x: %w", mark, err)
			}
		}
	}
	return nil
}

// Send implements conn.Bind. The buffers are read, not changed. Datagrams that
// the route cannot take whole go out in fragments. What follows a datagram that
// the kernel refuses is not sent.
func (b *bind) Send(bufs [][]byte, ep conn.Endpoint) error {
	e, ok := ep.(*endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	p := b.open.Load()
	if p == nil {
		return net.ErrClosed
	}
	s := p.v6
	if e.is4() {
		s = p.v4
	}
	if s == nil {
		return unix.EAFNOSUPPORT
	}
	batch := b.batches.Get().(*sendBatch)
	err := s.send(batch, bufs, e)
	tooBig, why := batch.tooBig, batch.why
	batch.reset()
	b.batches.Put(batch)
	if tooBig > 0 {
		b.tellPathMTU(s, e, tooBig, why)
	}
	return err
}

// ParseEndpoint implements conn.Bind. An IPv6 zone is an interface's name or
// number.
func (b *bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("udp: endpoint %q: %w", s, err)
	}
	scope, err := scopeOf(a.Addr().Zone())
	if err != nil {
		return nil, fmt.Errorf("udp: endpoint %q: %w", s, err)
	}
	return newEndpoint(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), scope, source{}), nil
}

// BatchSize implements conn.Bind.
func (b *bind) BatchSize() int { return batchSize }

// control runs f with the descriptor of c.
func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
