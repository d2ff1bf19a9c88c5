package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// answerTimeout bounds the wait for the kernel, which answers at once, in
// seconds.
const answerTimeout = 10

// errInterrupted is the error of a list that changed while it was read.
var errInterrupted = errors.New("the list changed while it was read")

// socket is a socket of NETLINK_ROUTE for what there may be many of: routes. It
// adds and deletes them in batches, and reads them without making a value of
// each. It is not safe for concurrent use.
type socket struct {
	fd  int
	seq uint32
	buf []byte
}

// openSocket returns a socket in the calling thread's network namespace.
func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, buf: make([]byte, 64<<10)}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)        // answers without the question
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1) // the kernel selects; older ones send all
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerTimeout})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("netlink", err)
	}
	return s, nil
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// header begins a message in b; finish completes it.
func (s *socket) header(b []byte, kind, flags uint16) []byte {
	s.seq++
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	return append(b, 0, 0, 0, 0)
}

// finish fills in the length of the message that begins at start.
func finish(b []byte, start int) { binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start)) }

// send sends messages; the last must ask for an answer.
func (s *socket) send(b []byte) error {
	return os.NewSyscallError("send", unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
}

// receive calls each for every message until it reports that one was the last.
// Its data is valid until each returns.
func (s *socket) receive(each func(m *syscall.NetlinkMessage) (last bool, err error)) error {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("receive", err)
		}
		for b := s.buf[:n]; len(b) >= unix.NLMSG_HDRLEN; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.NLMSG_HDRLEN || size > len(b) {
				return errors.New("netlink: a message is cut off")
			}
			m := syscall.NetlinkMessage{Data: b[unix.NLMSG_HDRLEN:size]}
			m.Header.Type = binary.NativeEndian.Uint16(b[4:])
			m.Header.Flags = binary.NativeEndian.Uint16(b[6:])
			m.Header.Seq = binary.NativeEndian.Uint32(b[8:])
			if last, err := each(&m); last || err != nil {
				return err
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}

// answer returns the error in a message of type NLMSG_ERROR.
func answer(m *syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return errors.New("netlink: an answer is cut off")
	}
	if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// change sends the messages that build appends, n of them, and returns the
// errors of those that failed, by their number.
func (s *socket) change(b []byte, n int) (map[int]error, error) {
	first := s.seq - uint32(n) + 1
	if err := s.send(b); err != nil {
		return nil, err
	}
	failed := make(map[int]error)
	err := s.receive(func(m *syscall.NetlinkMessage) (bool, error) {
		i := int(m.Header.Seq - first)
		if m.Header.Type != unix.NLMSG_ERROR || i < 0 || i >= n { // of an earlier one, that was given up
			return false, nil
		}
		if err := answer(m); err != nil {
			failed[i] = err
		}
		return i == n-1, nil
	})
	return failed, err
}

// list calls each for the messages that describe the routes of a table of a
// family; those of other tables may be among them.
func (s *socket) list(family byte, table uint32, each func(data []byte)) error {
	b := s.header(nil, unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	b = append(b, family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = attr32(b, unix.RTA_TABLE, table)
	finish(b, 0)
	if err := s.send(b); err != nil {
		return err
	}
	seq, interrupted := s.seq, false
	err := s.receive(func(m *syscall.NetlinkMessage) (bool, error) {
		if m.Header.Seq != seq {
			return false, nil
		}
		interrupted = interrupted || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true, answer(m)
		case unix.RTM_NEWROUTE:
			each(m.Data)
		}
		return false, nil
	})
	if err == nil && interrupted {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("list of routes: %w", err)
	}
	return nil
}

// attr32 appends an attribute of 4 bytes.
func attr32(b []byte, kind uint16, value uint32) []byte {
	return binary.NativeEndian.AppendUint32(attr(b, kind, 4), value)
}

// attr appends the header of an attribute of size bytes, which must be a
// multiple of 4.
func attr(b []byte, kind uint16, size int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+size))
	return binary.NativeEndian.AppendUint16(b, kind)
}
