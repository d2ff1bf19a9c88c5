package udp

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tellEvery bounds how often the path MTU is asked for and told.
const tellEvery = time.Second

// A report remembers when a path MTU was told.
type report struct{ last atomic.Pointer[time.Time] }

// due reports whether it is time to tell again, and if so takes note.
func (r *report) due(now time.Time) bool {
	last := r.last.Load()
	return (last == nil || now.Sub(*last) >= tellEvery) && r.last.CompareAndSwap(last, &now)
}

// tellPathMTU is called when a datagram of size bytes to e was too large for its
// route, as the kernel said by why. Where it said EINVAL and the route is not the
// reason, it does not like to segment, and is not asked to again.
func (b *bind) tellPathMTU(s *socket, e *endpoint, size int, why unix.Errno) {
	if !b.told.due(time.Now()) {
		return
	}
	mtu, err := b.pathMTU(e)
	if err != nil {
		return // no route any more: nothing to say
	}
	over := 40 + 8
	if e.is4() {
		over = 20 + 8
	}
	switch {
	case size+over > mtu:
		if b.opts.PathMTU != nil {
			b.opts.PathMTU(mtu, e.DstIP())
		}
	case why == unix.EINVAL:
		s.gso.Store(false)
	}
}

// pathMTU returns the MTU of the route to e as the kernel knows it: the
// interface's, or less where a router has said so. A connected socket is asked,
// with mark and Control as those that send.
func (b *bind) pathMTU(e *endpoint) (int, error) {
	b.mu.Lock()
	mark := b.mark
	b.mu.Unlock()
	d := net.Dialer{Control: func(network, address string, c syscall.RawConn) error {
		if mark != 0 {
			if err := control(c, func(fd int) error { return setMark(fd, mark) }); err != nil {
				return err
			}
		}
		if b.opts.Control != nil {
			return b.opts.Control(network, address, c)
		}
		return nil
	}}
	c, err := d.Dial("udp", e.dst.String())
	if err != nil {
		return 0, fmt.Errorf("udp: path MTU: %w", err)
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	mtu := 0
	err = control(raw, func(fd int) (err error) {
		if e.is4() {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
		} else {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
		}
		return err
	})
	return mtu, err
}
