package udp

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketBuffer is the size asked for of a socket's buffers, in bytes: as much
// as wireguard-go's. The kernel grants it to CAP_NET_ADMIN, and others as much
// as net.core.rmem_max and wmem_max say.
const socketBuffer = 7 << 20

// A socket is a UDP socket of one family, bound to all addresses.
type socket struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	port uint16
	is4  bool
	gso  atomic.Bool // the kernel and the device segment
}

// socket opens one. The caller holds b.mu.
func (b *bind) socket(network string, port uint16) (*socket, error) {
	c := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		if err := control(c, func(fd int) error { return prepare(fd, network, b.mark) }); err != nil {
			return err
		}
		if b.opts.Control != nil {
			return b.opts.Control(network, address, c)
		}
		return nil
	}}
	pc, err := c.ListenPacket(context.Background(), network, ":"+strconv.Itoa(int(port)))
	if err != nil {
		return nil, err
	}
	s := &socket{conn: pc.(*net.UDPConn), is4: network == "udp4"}
	s.port = s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		_ = s.conn.Close()
		return nil, err
	}
	_ = control(s.raw, func(fd int) error { // an error means: no
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.gso.Store(err == nil)
		return err
	})
	return s, nil
}

// prepare sets the options of a new socket. Buffers of the size wanted, and
// offloads, are a matter of speed only: without them it goes on.
func prepare(fd int, network string, mark uint32) error {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer)
	if network == "udp6" {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if err := wantSource(fd, network); err != nil {
		return err
	}
	if mark != 0 {
		if err := setMark(fd, mark); err != nil {
			return err
		}
	}
	if unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil {
		// Before Linux 5.12, which made it readable, it had bugs.
		if _, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO); err != nil {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
		}
	}
	return nil
}

func setMark(fd int, mark uint32) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark))
}
