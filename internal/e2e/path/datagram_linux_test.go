package path_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// A mode is what a program asks of path MTU discovery: the values of
// IP_MTU_DISCOVER, which those of IPV6_MTU_DISCOVER equal.
type mode int

const (
	dontDF   mode = unix.IP_PMTUDISC_DONT      // fragments may be made everywhere
	ordinary mode = unix.IP_PMTUDISC_WANT      // DF where it fits, the kernel fragments otherwise
	df       mode = unix.IP_PMTUDISC_DO        // DF, the kernel judges by what it knows
	probe    mode = unix.IP_PMTUDISC_PROBE     // DF, the kernel only looks at the device's MTU
	device   mode = unix.IP_PMTUDISC_INTERFACE // no DF, the kernel only looks at the device's MTU
)

// A sink is a UDP socket that takes datagrams from anybody.
type sink struct {
	port uint16
	got  chan []byte // dropped when full
}

// listen opens a sink on h, on all addresses, until the test ends.
func listen(t *testing.T, h *netlab.Host) *sink {
	t.Helper()
	var c *net.UDPConn
	err := h.Do(func() (err error) {
		c, err = net.ListenUDP("udp", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{uint16(c.LocalAddr().(*net.UDPAddr).Port), make(chan []byte, 64)}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			select {
			case s.got <- bytes.Clone(buf[:n]):
			default:
			}
		}
	}()
	return s
}

// wait returns the next datagram.
func (s *sink) wait(timeout time.Duration) ([]byte, bool) {
	select {
	case b := <-s.got:
		return b, true
	case <-time.After(timeout):
		return nil, false
	}
}

// A sender is a connected UDP socket that is told of every ICMP error. For one
// goroutine.
type sender struct {
	fd   int
	to   netip.AddrPort
	ipv6 bool
}

// dial opens a sender on h, until the test ends.
func dial(t *testing.T, h *netlab.Host, to netip.AddrPort, m mode) *sender {
	t.Helper()
	s := &sender{to: to, ipv6: to.Addr().Is6()}
	family, level, discover, errs := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_RECVERR
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port())}
	if s.ipv6 {
		family, level, discover, errs = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_RECVERR
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	} else {
		sa.(*unix.SockaddrInet4).Addr = to.Addr().As4()
	}
	err := h.Do(func() (err error) {
		if s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(s.fd) })
		return errors.Join(
			os.NewSyscallError("discover", unix.SetsockoptInt(s.fd, level, discover, int(m))),
			os.NewSyscallError("errors", unix.SetsockoptInt(s.fd, level, errs, 1)),
			os.NewSyscallError("connect", unix.Connect(s.fd, sa)))
	})
	if err != nil {
		t.Fatalf("%s: UDP to %v: %v", h.Name, to, err)
	}
	return s
}

// mtu is the path MTU as the kernel knows it.
func (s *sender) mtu(t *testing.T) int {
	t.Helper()
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if s.ipv6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	n, err := unix.GetsockoptInt(s.fd, level, option)
	if err != nil {
		t.Fatal(os.NewSyscallError("IP_MTU", err))
	}
	return n
}

// send sends one datagram. An error is the kernel's about this datagram, not
// one that it had kept.
func (s *sender) send(b []byte) error {
	for {
		if _, ok := s.signal(); !ok {
			break
		}
	}
	_, _ = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR) // clears it
	_, err := unix.Write(s.fd, b)
	return err
}

// signal returns the next error that the kernel has for the program: EMSGSIZE
// with the path MTU, or another.
func (s *sender) signal() (unix.SockExtendedErr, bool) {
	oob := make([]byte, 512)
	_, n, _, _, err := unix.Recvmsg(s.fd, make([]byte, 1), oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return unix.SockExtendedErr{}, false
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return unix.SockExtendedErr{}, false
	}
	for _, m := range messages {
		errors := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR ||
			m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if errors && len(m.Data) >= int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			return *(*unix.SockExtendedErr)(unsafe.Pointer(unsafe.SliceData(m.Data))), true
		}
	}
	return unix.SockExtendedErr{}, false
}

// A fate is what became of a datagram. The zero fate is that it was lost, and
// nobody told.
type fate struct {
	delivered bool
	tooBig    int    // the MTU that the program was told
	other     string // what went wrong otherwise
}

func (f fate) String() string {
	switch {
	case f.delivered:
		return "delivered"
	case f.tooBig != 0:
		return fmt.Sprintf("too big for %d", f.tooBig)
	case f.other != "":
		return f.other
	}
	return "silently lost"
}

// cross is exchange of size bytes.
func cross(s *sender, d *sink, size int, timeout time.Duration) fate {
	return exchange(s, d, pattern(size), timeout)
}

// exchange sends a datagram from s to d and returns what became of it within
// timeout.
func exchange(s *sender, d *sink, payload []byte, timeout time.Duration) fate {
	for len(d.got) > 0 {
		<-d.got
	}
	err := s.send(payload)
	if err != nil && !errors.Is(err, unix.EMSGSIZE) {
		return fate{other: "send: " + err.Error()}
	}
	for end := time.Now().Add(timeout); ; {
		if b, ok := d.wait(500 * time.Microsecond); ok {
			if !bytes.Equal(b, payload) {
				return fate{other: fmt.Sprintf("%d other bytes arrived", len(b))}
			}
			return fate{delivered: true}
		}
		if e, ok := s.signal(); ok {
			if e.Errno != uint32(unix.EMSGSIZE) {
				return fate{other: fmt.Sprintf("signalled: %v", unix.Errno(e.Errno))}
			}
			return fate{tooBig: int(e.Info)}
		}
		if time.Now().After(end) {
			return fate{}
		}
	}
}

// pattern is a payload of n bytes that no shift, cut or swap leaves as it is.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + n)
	}
	return b
}
