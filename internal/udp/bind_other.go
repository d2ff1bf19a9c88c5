//go:build !linux

package udp

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/conn"
)

// BothFamilies reports whether a bind can have peers of both families.
const BothFamilies = false

// A bind is wireguard-go's, kept to one family between Open and Close.
// conn.StdNetBind pools addresses: an IPv6 datagram that follows an IPv4 one
// takes over its address cut to four bytes, and goes to a wrong host.
type bind struct {
	opts   Options
	cur    atomic.Pointer[sockets]
	family atomic.Uint32 // 0: none was used yet, else 4 or 6
}

type sockets struct{ conn.Bind }

var _ conn.Bind = (*bind)(nil)

func newBind(o Options) conn.Bind { return &bind{opts: o} }

// Open implements conn.Bind, with a new pool of addresses.
func (b *bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	if b.opts.Control != nil {
		return nil, 0, fmt.Errorf("udp: Control: %w", errors.ErrUnsupported)
	}
	if b.cur.Load() != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	s := &sockets{conn.NewDefaultBind()}
	fns, actual, err := s.Open(port)
	if err != nil {
		return nil, 0, err
	}
	b.family.Store(0)
	b.cur.Store(s)
	return fns, actual, nil
}

// Close implements conn.Bind.
func (b *bind) Close() error {
	if s := b.cur.Swap(nil); s != nil {
		return s.Close()
	}
	return nil
}

// Send implements conn.Bind.
func (b *bind) Send(bufs [][]byte, ep conn.Endpoint) error {
	s := b.cur.Load()
	if s == nil {
		return net.ErrClosed
	}
	family := uint32(6)
	if ep.DstIP().Is4() {
		family = 4
	}
	if used := b.family.Load(); used != family && (used != 0 || !b.family.CompareAndSwap(0, family) && b.family.Load() != family) {
		return ErrMixed
	}
	return s.Send(bufs, ep)
}

// SetMark implements conn.Bind.
func (b *bind) SetMark(mark uint32) error {
	if s := b.cur.Load(); s != nil {
		return s.SetMark(mark)
	}
	return nil
}

// ParseEndpoint implements conn.Bind.
func (b *bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	return conn.NewDefaultBind().ParseEndpoint(s)
}

// BatchSize implements conn.Bind.
func (b *bind) BatchSize() int { return conn.NewDefaultBind().BatchSize() }
