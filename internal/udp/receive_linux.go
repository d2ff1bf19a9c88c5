package udp

import (
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// arrivals is the number of messages of one recvmmsg. A message holds one
// datagram, or many of the same peer that were joined: at most 64 by the
// receiving kernel, and more by a sender on the same machine.
const arrivals = 8

// stride is the distance of the messages' buffers: larger than a datagram.
const stride = 1 << 16

// A receiver is the receive function of one socket: for one goroutine.
type receiver struct {
	s     *socket
	peers endpoints

	msgs    [arrivals]mmsghdr
	iovs    [arrivals]unix.Iovec
	names   [arrivals]unix.RawSockaddrInet6
	control [arrivals][receiveControl / 8]uint64 // aligned for a Cmsghdr
	bufs    []byte

	n, next int    // messages that arrived; the one to hand out next
	rest    []byte // of that one, what was not handed out yet; empty: it was not begun
	segment int    // size of its datagrams
	from    *endpoint

	wait  bool // for a message
	errno unix.Errno
	fetch func(fd uintptr) bool // read, made once
}

func newReceiver(s *socket) *receiver {
	r := &receiver{s: s, bufs: make([]byte, arrivals*stride)}
	for i := range r.msgs {
		m := &r.msgs[i].hdr
		m.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		m.Iov = &r.iovs[i]
		m.SetIovlen(1)
		m.Control = (*byte)(unsafe.Pointer(&r.control[i]))
		r.iovs[i].Base = &r.bufs[i*stride]
		r.iovs[i].SetLen(1 << 16)
	}
	r.fetch = r.read
	return r
}

// receive implements conn.ReceiveFunc. It waits for the first datagram and then
// takes what is there. Once the socket is closed its error is net.ErrClosed.
func (r *receiver) receive(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	n := 0
	for n < len(bufs) {
		if r.next == r.n {
			if n > 0 && r.n < arrivals {
				break // the last call took all that there was
			}
			if err := r.fill(n == 0); err != nil && n == 0 {
				return 0, err
			}
			if r.n == 0 { // nothing more, or an error that comes again
				break
			}
		}
		n += r.split(bufs[n:], sizes[n:], eps[n:])
	}
	return n, nil
}

// fill receives messages: at least one, if it may wait.
func (r *receiver) fill(wait bool) error {
	for {
		r.n, r.next, r.wait = 0, 0, wait
		if err := r.s.raw.Read(r.fetch); err != nil {
			return closedOr(err)
		}
		switch r.errno {
		case 0:
			return nil
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EMSGSIZE, unix.EPROTO, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENETDOWN:
			// What an ICMP message, which anybody can forge, says of an earlier
			// datagram. It was told; the next call receives.
		default:
			return &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("recvmmsg", r.errno)}
		}
	}
}

// read receives messages. False: there are none, and it should be waited for
// one.
func (r *receiver) read(fd uintptr) bool {
	for i := range r.msgs {
		m := &r.msgs[i].hdr
		m.Namelen = unix.SizeofSockaddrInet6
		m.SetControllen(receiveControl)
		m.Flags = 0
	}
	for {
		n, errno := recvmmsg(fd, r.msgs[:])
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			r.errno = 0
			return !r.wait
		case errno != 0:
			r.errno = errno
			return true
		}
		r.n, r.errno = n, 0
		return true
	}
}

// split hands datagrams of the next message out, as many as there are buffers
// for, and returns their number.
func (r *receiver) split(bufs [][]byte, sizes []int, eps []conn.Endpoint) int {
	if len(r.rest) == 0 {
		r.begin()
	}
	n := 0
	for ; n < len(bufs) && len(r.rest) > 0; n++ {
		size := min(r.segment, len(r.rest))
		sizes[n] = copy(bufs[n], r.rest[:size])
		eps[n] = r.from
		r.rest = r.rest[size:]
	}
	if len(r.rest) == 0 {
		r.next++
	}
	return n
}

// begin looks at the next message. An empty datagram is nobody's: it holds no
// WireGuard message.
func (r *receiver) begin() {
	m := &r.msgs[r.next]
	r.rest = r.bufs[r.next*stride:][:m.len]
	controls := (*[receiveControl]byte)(unsafe.Pointer(&r.control[r.next]))
	src, segment := parseControl(controls[:min(int(m.hdr.Controllen), receiveControl)])
	r.segment = segment
	if segment == 0 {
		r.segment = len(r.rest)
	}
	r.from = r.peers.of(keyOf(&r.names[r.next], src), r.s.is4)
}
