package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/udp"
)

// TestStickySource: an answer leaves from the address that was written to,
// though the routes would choose another one. (wireguard-go's bind drops the
// control messages where UDP_GRO is on.)
func TestStickySource(t *testing.T) {
	for _, tt := range []struct{ name, to, routed string }{
		{"IPv4", "127.0.0.77", "127.0.0.1"},
		{"IPv6", "::1", "::1"}, // the loopback has no other
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := open(t, udp.New(nil)), open(t, udp.New(nil))
			if err := a.Send([][]byte{{1}}, b.at(t, a, tt.to)); err != nil {
				t.Fatal(err)
			}
			ep := b.next(t).from
			if got := ep.SrcToString(); got != tt.to {
				t.Fatalf("source %v", got)
			}
			for _, want := range []string{tt.to, tt.routed} {
				if err := b.Send([][]byte{{2}}, ep); err != nil {
					t.Fatal(err)
				}
				if got := a.next(t).from.DstIP().String(); got != want {
					t.Errorf("answered from %s, want %s", got, want)
				}
				ep.ClearSrc()
			}
		})
	}
}

// TestManySegments receives datagrams joined from more segments than a batch of
// wireguard-go's leaves room for: a sender on the same machine may join 128
// since Linux 6.9.
func TestManySegments(t *testing.T) {
	const size, segments = 100, 128
	send := func(t *testing.T, port uint16) {
		c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size)
		}); cerr != nil || err != nil {
			unable(t, "needs UDP GSO: "+fmt.Sprint(err))
		}
		for range 4 {
			if _, err := c.Write(bytes.Repeat([]byte{7}, size*segments)); errors.Is(err, unix.EINVAL) {
				unable(t, "needs Linux 6.9: this kernel joins at most 64 datagrams")
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("detector", func(t *testing.T) {
		b := conn.NewStdNetBind()
		fns, port, err := b.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		send(t, port)
		bufs, sizes, eps := buffers(b.BatchSize())
		for range 4 {
			if _, err := fns[0](bufs, sizes, eps); err != nil {
				return
			}
		}
		t.Error("wireguard-go's bind received them: the test does not test")
	})
	e := open(t, udp.New(nil))
	send(t, e.port)
	for range 4 * segments {
		if d := e.next(t); len(d.payload) != size {
			t.Fatalf("%d bytes, want %d", len(d.payload), size)
		}
	}
}

// unable skips the test; in a continuous build, where every test must run, it
// fails it.
func unable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestControl: Control is called for each socket, again at each Open, and what
// it sets lasts.
func TestControl(t *testing.T) {
	var calls atomic.Int32
	refuse := errors.New("refused")
	var fail atomic.Bool
	b := udp.New(&udp.Options{Control: func(network, address string, c syscall.RawConn) error {
		if network != "udp4" && network != "udp6" || address == "" {
			t.Errorf("Control(%q, %q)", network, address)
		}
		calls.Add(1)
		if fail.Load() {
			return refuse
		}
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16)
		}), err)
	}})
	for i := range 3 {
		if _, _, err := b.Open(0); err != nil {
			t.Fatal(err)
		}
		if got := int(calls.Load()); got != 2*(i+1) {
			t.Errorf("%d calls after %d times Open, want 2 each", got, i+1)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fail.Store(true)
	if _, _, err := b.Open(0); !errors.Is(err, refuse) {
		t.Errorf("Open: %v, want the error of Control", err)
	}
	fail.Store(false)
	if _, _, err := b.Open(0); err != nil {
		t.Errorf("Open after one that failed: %v", err)
	}
	_ = b.Close()
}

// TestBuffers: sockets have buffers of the size wanted, which the kernel doubles.
func TestBuffers(t *testing.T) {
	if os.Geteuid() != 0 {
		unable(t, "needs root: sets SO_RCVBUFFORCE")
	}
	const want = 2 * 7 << 20
	var raws []syscall.RawConn
	b := udp.New(&udp.Options{Control: func(_, _ string, c syscall.RawConn) error {
		raws = append(raws, c)
		return nil
	}})
	if _, _, err := b.Open(0); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range raws {
		if err := c.Control(func(fd uintptr) {
			for name, option := range map[string]int{"SO_RCVBUF": unix.SO_RCVBUF, "SO_SNDBUF": unix.SO_SNDBUF} {
				if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, option); err != nil || got != want {
					t.Errorf("%s %d, %v; want %d", name, got, err, want)
				}
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

// TestMark: the mark is that of the sockets, and of those of the next Open.
func TestMark(t *testing.T) {
	if os.Geteuid() != 0 {
		unable(t, "needs root: sets SO_MARK")
	}
	var raws []syscall.RawConn
	b := udp.New(&udp.Options{Control: func(_, _ string, c syscall.RawConn) error {
		raws = append(raws, c)
		return nil
	}})
	marks := func() []int {
		var all []int
		for _, c := range raws {
			_ = c.Control(func(fd uintptr) {
				m, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK)
				all = append(all, m)
			})
		}
		return all
	}
	if _, _, err := b.Open(0); err != nil {
		t.Fatal(err)
	}
	if got := marks(); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("marks %v before one was set", got)
	}
	if err := b.SetMark(0x1234); err != nil {
		t.Fatal(err)
	}
	if got := marks(); !slices.Equal(got, []int{0x1234, 0x1234}) {
		t.Errorf("marks %x of open sockets, want 0x1234", got)
	}
	_ = b.Close()
	raws = nil
	if _, _, err := b.Open(0); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := marks(); !slices.Equal(got, []int{0x1234, 0x1234}) {
		t.Errorf("marks %x after a new Open, want 0x1234", got)
	}
}
