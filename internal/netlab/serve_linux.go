package netlab

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// ServeUDP answers datagrams to the port, on all addresses of h of both
// families, until the test ends: each with what answer returns, from the
// address that it came to; nil: not at all. Answer is called on one goroutine,
// and what it is given is valid until it returns.
func (h *Host) ServeUDP(tb testing.TB, port int, answer func(b []byte, from netip.AddrPort) []byte) {
	tb.Helper()
	var c *net.UDPConn
	err := h.Do(func() (err error) {
		// A wildcard IPv6 socket serves IPv4 too.
		if c, err = net.ListenUDP("udp", &net.UDPAddr{Port: port}); err != nil {
			return err
		}
		if err := withBuffer(c); err != nil {
			return err
		}
		return withInfo(c)
	})
	if err != nil {
		tb.Fatalf("netlab: %s: %v", h.Name, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf, info := make([]byte, 1<<16), make([]byte, 256)
		for {
			n, k, _, from, err := c.ReadMsgUDPAddrPort(buf, info)
			if err != nil {
				return
			}
			seen := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if b := answer(buf[:n], seen); b != nil {
				_, _, _ = c.WriteMsgUDPAddrPort(b, info[:k], from) // by the packet info: from where it came to
			}
		}
	})
	tb.Cleanup(func() {
		_ = c.Close()
		wg.Wait()
	})
}

// ServeTCP accepts connections to the port, on all addresses of h of both
// families, until the test ends. Each is served by serve on a goroutine of its
// own, and closed when serve returns or the test ends.
func (h *Host) ServeTCP(tb testing.TB, port int, serve func(c net.Conn)) {
	tb.Helper()
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		return err
	})
	if err != nil {
		tb.Fatalf("netlab: %s: %v", h.Name, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ended, conns := false, make(map[net.Conn]struct{})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = struct{}{}
			if ended {
				_ = c.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				serve(c)
				_ = c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		ended = true
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// withBuffer gives a socket room for what comes in while the test gets no processor:
// what it loses would be taken for lost on the way.
func withBuffer(c *net.UDPConn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	}); cerr != nil {
		return cerr
	}
	return err
}
