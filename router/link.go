package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

// linkWait is how long a batch of data waits for room in the carrier's ring.
const linkWait = 20 * time.Millisecond

// linkBatch is the number of datagrams that a carried hop handles at once.
// Larger batches gain nothing for inner hops and cost memory.
const linkBatch = 64

// A link is the bind of a carried hop: a UDP socket inside the carrier's
// tunnel. It behaves like a kernel socket bound to the carrier's tunnel
// address: datagrams reach it by destination address and port whoever sent
// them, so that WireGuard's own authentication and roaming apply.
type link struct {
	child   *hop
	hurried atomic.Bool // data does not wait: the device is being changed

	mu   sync.Mutex
	s    *socket // nil: closed
	last *hop    // that it was in last
	cur  atomic.Pointer[socket]
}

var _ conn.Bind = (*link)(nil)

// A linkEndpoint is where a link's datagrams go to or came from. Immutable.
type linkEndpoint struct{ netip.AddrPort }

var _ conn.Endpoint = (*linkEndpoint)(nil)

func (e *linkEndpoint) ClearSrc()           {}
func (e *linkEndpoint) SrcToString() string { return "" }
func (e *linkEndpoint) DstToString() string { return e.AddrPort.String() }
func (e *linkEndpoint) DstIP() netip.Addr   { return e.Addr() }
func (e *linkEndpoint) SrcIP() netip.Addr   { return netip.Addr{} }
func (e *linkEndpoint) DstToBytes() []byte {
	b, _ := e.MarshalBinary() // never fails
	return b
}

// Open implements conn.Bind. wireguard-go passes the port of the last Open.
func (l *link) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	carrier := l.child.via()
	s, err := carrier.listen(port, l.child)
	if err != nil && carrier != l.last && l.child.conf().ListenPort == 0 { // it was chosen elsewhere
		s, err = carrier.listen(0, l.child)
	}
	if err != nil {
		return nil, 0, err
	}
	l.s, l.last = s, carrier
	l.cur.Store(s)
	last := &linkEndpoint{}
	receive := func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		return s.receive(bufs, sizes, func(i int, from netip.AddrPort) {
			if from != last.AddrPort {
				last = &linkEndpoint{from}
			}
			eps[i] = last
		})
	}
	return []conn.ReceiveFunc{receive}, s.port, nil
}

// Close implements conn.Bind. It is idempotent, and a Send that waits returns.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s != nil {
		l.cur.Store(nil)
		l.s.close()
		l.s = nil
	}
	return nil
}

// Send sorts by content: handshakes, cookies and keepalives never wait; data
// waits at most linkWait. What finds no room is dropped and counted.
func (l *link) Send(bufs [][]byte, ep conn.Endpoint) error {
	s := l.cur.Load()
	if s == nil {
		return net.ErrClosed
	}
	to, ok := ep.(*linkEndpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	for len(bufs) > 0 {
		data := 0
		for data < len(bufs) && isData(bufs[data]) {
			data++
		}
		if data > 0 {
			n, why := s.send(bufs[:data], to.AddrPort, linkWait, func() bool { return !l.hurried.Load() && !s.closed() })
			l.child.drops.add(why, n)
			bufs = bufs[data:]
			continue
		}
		if why := s.sendControl(bufs[0], to.AddrPort); why != delivered {
			l.child.drops.add(why, 1)
		}
		bufs = bufs[1:]
	}
	return nil
}

// hurry makes data that waits, or would, be dropped; resume undoes it.
func (l *link) hurry() {
	l.hurried.Store(true)
	if p := l.child.via().port.Load(); p != nil {
		p.in.Wake()
	}
}

func (l *link) resume() { l.hurried.Store(false) }

// SetMark implements conn.Bind. A socket inside a tunnel has no mark.
func (l *link) SetMark(mark uint32) error {
	if mark != 0 {
		return errors.New("router: a carried hop has no firewall mark")
	}
	return nil
}

// ParseEndpoint implements conn.Bind.
func (l *link) ParseEndpoint(s string) (conn.Endpoint, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("router: endpoint %q: %w", s, err)
	}
	return &linkEndpoint{a}, nil
}

// BatchSize implements conn.Bind.
func (l *link) BatchSize() int { return linkBatch }
