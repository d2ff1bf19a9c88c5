package udp

import (
	"errors"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// batchSize is the number of datagrams of a Send or a receive.
const batchSize = conn.IdealBatchSize

// What a message that is cut into datagrams may be: UDP_MAX_SEGMENTS before
// Linux 6.9, and the largest UDP payload.
const (
	mostSegments = 64
	mostPayload4 = 65535 - 20 - 8
	mostPayload6 = 65535 - 8
)

// A sendBatch is the scratch of one Send: datagrams in messages.
type sendBatch struct {
	msgs    [batchSize]mmsghdr
	iovs    [batchSize]unix.Iovec
	counts  [batchSize]int // datagrams of each message
	control []byte         // control messages of all messages

	n, done int // messages; how many of them were sent
	errno   unix.Errno
	flush   func(fd uintptr) bool                              // write, made once
	call    func(fd uintptr, msgs []mmsghdr) (int, unix.Errno) // sendmmsg; tests put another one here

	tooBig int        // size of the first datagram that was too large for its route; 0: none was
	why    unix.Errno // what the kernel said of it
}

func newSendBatch() any {
	b := &sendBatch{control: make([]byte, 0, batchSize*(sourceSize()+gsoSize())), call: sendmmsg}
	b.flush = b.write
	return b
}

// reset forgets the datagrams, which are their owner's again.
func (b *sendBatch) reset() {
	b.tooBig = 0
	clear(b.msgs[:])
	clear(b.iovs[:])
}

// fill makes messages of the first datagrams of bufs, at most batchSize. Where
// gso is set, datagrams of one size, and a smaller one behind them, share a
// message, which the kernel cuts.
func (b *sendBatch) fill(bufs [][]byte, e *endpoint, gso bool) {
	src := e.sticky()
	most := mostPayload6
	if e.is4() {
		most = mostPayload4
	}
	b.n, b.done, b.control = 0, 0, b.control[:0]
	bufs = bufs[:min(len(bufs), batchSize)]
	for i := 0; i < len(bufs); {
		first, size, total := i, len(bufs[i]), 0
		for i < len(bufs) {
			n := len(bufs[i])
			if i > first && (!gso || n == 0 || n > size || total+n > most || i-first == mostSegments) {
				break
			}
			b.iovs[i].Base = unsafe.SliceData(bufs[i])
			b.iovs[i].SetLen(n)
			total += n
			i++
			if n < size || n == 0 {
				break // only the last one may be smaller
			}
		}
		at := len(b.control)
		b.control = append(b.control, src...)
		if i-first > 1 {
			b.control = appendGSO(b.control, uint16(size))
		}
		m := &b.msgs[b.n].hdr
		m.Name, m.Namelen = unsafe.SliceData(e.name), uint32(len(e.name))
		m.Iov = &b.iovs[first]
		m.SetIovlen(i - first)
		m.Control = nil
		if len(b.control) > at {
			m.Control = &b.control[at]
		}
		m.SetControllen(len(b.control) - at)
		b.counts[b.n] = i - first
		b.n++
	}
}

// write sends what is left. False: the socket has no room.
func (b *sendBatch) write(fd uintptr) bool {
	b.errno = 0
	for b.done < b.n {
		n, errno := b.call(fd, b.msgs[b.done:b.n])
		switch errno {
		case 0:
			b.done += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default: // of the message after those that were sent, if any
			b.errno = errno
			return true
		}
	}
	return true
}

// sent returns the number of datagrams in the messages that were sent.
func (b *sendBatch) sent() int {
	n := 0
	for _, c := range b.counts[:b.done] {
		n += c
	}
	return n
}

// large notes that the route does not take a datagram of that size.
func (b *sendBatch) large(size int) {
	if b.tooBig == 0 {
		b.tooBig, b.why = size, b.errno
	}
}

// send sends datagrams to e, in order. What the kernel refuses for a reason
// that can be mended is sent in another way.
func (s *socket) send(b *sendBatch, bufs [][]byte, e *endpoint) (err error) {
	gso := s.gso.Load()
	for len(bufs) > 0 {
		b.fill(bufs, e, gso)
		if cerr := s.raw.Write(b.flush); cerr != nil {
			return closedOr(cerr)
		}
		bufs = bufs[b.sent():]
		if b.errno == 0 {
			continue
		}
		joined := b.counts[b.done] > 1
		switch {
		case joined && noOffload(b.errno):
			s.gso.Store(false)
			gso = false
		case len(e.sticky()) > 0 && goneSource(b.errno):
			e.ClearSrc()
		case joined && (b.errno == unix.EMSGSIZE || b.errno == unix.EINVAL):
			// The kernel fragments single datagrams, but cuts none that would have to
			// be fragmented then. Older ones say EINVAL.
			b.large(len(bufs[0]))
			gso = false
		case b.errno == unix.EMSGSIZE: // and Control forbade to fragment it
			b.large(len(bufs[0]))
			bufs = bufs[1:]
			err = os.NewSyscallError("sendmmsg", b.errno)
		default:
			return os.NewSyscallError("sendmmsg", b.errno)
		}
	}
	return err
}

// noOffload reports whether a device says that it cannot segment or checksum:
// udp(7).
func noOffload(errno unix.Errno) bool {
	return errno == unix.EIO || errno == unix.EOPNOTSUPP || errno == unix.ENOPROTOOPT
}

// goneSource reports whether the host may not have a source any more, or no
// route to the peer from it.
func goneSource(errno unix.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENODEV, unix.ENXIO, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN:
		return true
	}
	return false
}

// closedOr returns net.ErrClosed if err says so, else err.
func closedOr(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) {
		return net.ErrClosed
	}
	return err
}
