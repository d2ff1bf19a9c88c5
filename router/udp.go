package router

import (
	"errors"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/conn"
)

var errMixed = errors.New("the peers of a hop on the host's network cannot have endpoints of both IPv4 and IPv6: make it two hops")

// A udpBind is wireguard-go's bind, kept to one family between Open and Close.
// wireguard-go's conn.StdNetBind pools addresses: an IPv6 datagram that follows
// an IPv4 one takes over its address cut to four bytes, and goes to a wrong
// host.
type udpBind struct {
	cur    atomic.Pointer[udpSockets]
	family atomic.Uint32 // 0: none was used yet, else 4 or 6
}

type udpSockets struct{ conn.Bind }

var _ conn.Bind = (*udpBind)(nil)

// Open implements conn.Bind, with a new pool.
func (b *udpBind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	if err := b.Close(); err != nil {
		return nil, 0, err
	}
	s := &udpSockets{conn.NewDefaultBind()}
	fns, actual, err := s.Open(port)
	if err != nil {
		return nil, 0, err
	}
	b.family.Store(0)
	b.cur.Store(s)
	return fns, actual, nil
}

// Close implements conn.Bind.
func (b *udpBind) Close() error {
	if s := b.cur.Load(); s != nil {
		return s.Close()
	}
	return nil
}

// Send implements conn.Bind.
func (b *udpBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	family := uint32(6)
	if ep.DstIP().Is4() {
		family = 4
	}
	if used := b.family.Load(); used != family && (used != 0 || !b.family.CompareAndSwap(0, family) && b.family.Load() != family) {
		return errMixed
	}
	return b.cur.Load().Send(bufs, ep)
}

// SetMark implements conn.Bind.
func (b *udpBind) SetMark(mark uint32) error { return b.cur.Load().SetMark(mark) }

// ParseEndpoint implements conn.Bind.
func (b *udpBind) ParseEndpoint(s string) (conn.Endpoint, error) {
	return conn.NewDefaultBind().ParseEndpoint(s)
}

// BatchSize implements conn.Bind.
func (b *udpBind) BatchSize() int { return conn.NewDefaultBind().BatchSize() }
