package router

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"multihop/packet"
)

// ListenUDP opens a UDP socket inside a hop's tunnel, at the hop's address and
// a port that is chosen: for probes, and to ask a resolver that only the hop
// reaches. network is "udp4" or "udp6", and names the hop's address. Reads
// honour deadlines; a write never waits, and what finds no room is dropped, as
// UDP may be; what does not fit the hop's MTU is an error. The socket ends with the hop.
func (r *Router) ListenUDP(hop string, network string) (net.PacketConn, error) {
	h := r.table.Load().hop(hop)
	if h == nil {
		return nil, fmt.Errorf("router: no hop is named %q", hop)
	}
	local := h.addr4
	switch network {
	case "udp4":
	case "udp6":
		local = h.addr6
	default:
		return nil, net.UnknownNetworkError(network)
	}
	if !local.IsValid() {
		return nil, fmt.Errorf("router: hop %s has no address for %s", hop, network)
	}
	s, err := h.listen(0, nil)
	if err != nil {
		return nil, err
	}
	c := &packetConn{s: s, local: netip.AddrPortFrom(local, s.port), changed: make(chan struct{})}
	return c, nil
}

// A packetConn is a socket as a net.PacketConn.
type packetConn struct {
	s     *socket
	local netip.AddrPort

	read sync.Mutex // one reader at a time: a socket has one consumer

	mu       sync.Mutex
	deadline time.Time     // of reads
	changed  chan struct{} // closed when the deadline changes
}

var _ net.PacketConn = (*packetConn)(nil)

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.read.Lock()
	defer c.read.Unlock()
	for {
		if c.s.closed() {
			return 0, nil, net.ErrClosed
		}
		if v := c.s.rx.Peek(1); v.N > 0 {
			slot := v.Slot(0)
			n, from := copy(b, slot.Packet), slot.Meta
			v.Release(1)
			if from.Addr().Is4() != c.local.Addr().Is4() {
				continue // to the hop's other address
			}
			return n, net.UDPAddrFromAddrPort(from), nil
		}
		if err := c.wait(); err != nil {
			return 0, nil, err
		}
	}
}

// wait waits for a datagram, Close or a change of the deadline.
func (c *packetConn) wait() error {
	c.mu.Lock()
	deadline, changed := c.deadline, c.changed
	c.mu.Unlock()
	var expired <-chan time.Time
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		t := time.NewTimer(left)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-c.s.rx.Ready():
	case <-c.s.stop:
	case <-changed:
	case <-expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.s.closed() {
		return 0, net.ErrClosed
	}
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.AddrError{Err: "not a UDP address", Addr: to.String()}
	}
	dst := udp.AddrPort()
	dst = netip.AddrPortFrom(dst.Addr().Unmap().WithZone(""), dst.Port())
	if dst.Addr().Is4() != c.local.Addr().Is4() {
		return 0, &net.AddrError{Err: "not of the socket's family", Addr: to.String()}
	}
	if most := c.s.hop.mtu() - packet.UDPOverhead(dst.Addr()); len(b) > most {
		return 0, fmt.Errorf("router: a datagram of %d bytes: the MTU of hop %s leaves %d", len(b), c.s.hop.name, most)
	}
	n, why := c.s.send([][]byte{b}, dst, 0, func() bool { return false })
	c.s.hop.drops.add(why, n)
	return len(b), nil
}

// Close implements net.PacketConn.
func (c *packetConn) Close() error {
	c.s.close()
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// SetWriteDeadline implements net.PacketConn. Writes never wait.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.PacketConn.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }
