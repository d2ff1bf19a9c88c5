package udp_test

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/netlab"
	"multihop/internal/udp"
)

// wired returns two hosts with a wire between them, and an address of each
// family on both ends: .1 and ::1 on the left, .2 and ::2 on the right.
func wired(t *testing.T, l *netlab.Lab) (left, right *netlab.Host) {
	t.Helper()
	left, right = l.Host("left"), l.Host("right")
	l.Wire(left, "eth0", right, "eth0")
	left.Addr("eth0", "192.0.2.1/24", "2001:db8::1/64")
	right.Addr("eth0", "192.0.2.2/24", "2001:db8::2/64")
	return left, right
}

// openOn is open on a host.
func openOn(t *testing.T, h *netlab.Host, b conn.Bind) (e *end) {
	t.Helper()
	_ = h.Do(func() error { e = open(t, b); return nil }) // fails the test by itself
	return e
}

// TestPathMTU: a batch that is larger than its route arrives all the same, and
// the path MTU is told, once a second at most.
func TestPathMTU(t *testing.T) {
	const routeMTU = 1300
	left, right := wired(t, netlab.New(t))
	left.ViaMTU(routeMTU, "192.0.2.2", "198.51.100.0/24")
	left.ViaMTU(routeMTU, "2001:db8::2", "2001:db8:1::/64")
	right.Addr("lo", "198.51.100.1/32", "2001:db8:1::1/128")
	for _, addr := range []string{"198.51.100.1", "2001:db8:1::1"} {
		t.Run("detector, "+addr, func(t *testing.T) {
			std, peer := openOn(t, left, conn.NewStdNetBind()), openOn(t, right, udp.New(nil))
			batch := payloads(same(10, 1452)...)
			batch[0] = append(make([]byte, 0, 1<<16), batch[0]...) // where it joins them
			err := left.Do(func() error { return std.Send(batch, peer.at(t, std, addr)) })
			if !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.EINVAL) {
				t.Errorf("wireguard-go's bind: %v: the route takes all", err)
			}
		})
		t.Run(addr, func(t *testing.T) {
			type report struct {
				mtu int
				dst netip.Addr
			}
			var told []report
			b := openOn(t, left, udp.New(&udp.Options{PathMTU: func(mtu int, dst netip.Addr) {
				told = append(told, report{mtu, dst})
			}}))
			peer := openOn(t, right, udp.New(nil))
			ep := peer.at(t, b, addr)
			for range 3 {
				if err := left.Do(func() error { return b.Send(payloads(same(64, 1452)...), ep) }); err != nil {
					t.Fatal(err)
				}
				for i := range 64 {
					if d := peer.next(t); len(d.payload) != 1452 || string(d.payload[:5]) != string(payload(i, 5)) {
						t.Fatalf("datagram %d: %d bytes %.5q", i, len(d.payload), d.payload)
					}
				}
			}
			if len(told) != 1 || told[0] != (report{routeMTU, netip.MustParseAddr(addr)}) {
				t.Errorf("told %v, want once %d", told, routeMTU)
			}
			// What fits goes out as one message again, and nothing is told.
			if err := left.Do(func() error { return b.Send(payloads(same(64, 1200)...), ep) }); err != nil {
				t.Fatal(err)
			}
			for range 64 {
				peer.next(t)
			}
			time.Sleep(1100 * time.Millisecond)
			if err := left.Do(func() error { return b.Send(payloads(same(64, 1200)...), ep) }); err != nil {
				t.Fatal(err)
			}
			if len(told) != 1 {
				t.Errorf("told %v: of datagrams that fit", told)
			}
		})
	}
}

// TestStaleSource: a source address that the host has no more, or whose
// interface is down, does not stick.
func TestStaleSource(t *testing.T) {
	tests := []struct {
		name   string
		change func(left *netlab.Host)
	}{
		{"the address is removed", func(left *netlab.Host) {
			left.RemoveAddr("eth1", "203.0.113.9/24")
			left.RemoveAddr("eth1", "2001:db8:3::9/64")
		}},
		{"its interface is down", func(left *netlab.Host) { left.Down("eth1") }},
	}
	for _, tt := range tests {
		for _, a := range []struct{ family, peer, sticky, routed string }{
			{"IPv4", "198.51.100.1", "203.0.113.9", "192.0.2.1"},
			{"IPv6", "2001:db8:1::1", "2001:db8:3::9", "2001:db8::1"},
		} {
			t.Run(tt.name+", "+a.family, func(t *testing.T) {
				l := netlab.New(t)
				left, right := wired(t, l)
				l.Wire(left, "eth1", right, "eth1")
				left.Addr("eth1", "203.0.113.9/24", "2001:db8:3::9/64")
				right.Addr("eth1", "203.0.113.2/24", "2001:db8:3::2/64")
				right.Addr("lo", "198.51.100.1/32", "2001:db8:1::1/128")
				left.Via("192.0.2.2", "198.51.100.1/32")
				left.Via("2001:db8::2", "2001:db8:1::1/128")
				var peer *net.UDPConn
				if err := right.Do(func() (err error) {
					peer, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a.peer), 0)))
					return err
				}); err != nil {
					t.Fatal(err)
				}
				defer peer.Close()
				_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
				b := openOn(t, left, udp.New(nil))

				to := netip.AddrPortFrom(netip.MustParseAddr(a.sticky), b.port)
				if _, err := peer.WriteToUDPAddrPort([]byte{1}, to); err != nil {
					t.Fatal(err)
				}
				ep := b.next(t).from
				send := func(want string) {
					t.Helper()
					if err := b.Send(payloads(same(3, 100)...), ep); err != nil {
						t.Fatal(err)
					}
					for range 3 {
						_, from, err := peer.ReadFromUDPAddrPort(make([]byte, 200))
						if err != nil {
							t.Fatal(err)
						}
						if got := from.Addr().String(); got != want {
							t.Errorf("sent from %s, want %s", got, want)
						}
					}
				}
				send(a.sticky) // the detector: the routes alone would not
				tt.change(left)
				send(a.routed)
			})
		}
	}
}

// TestCloseEndsSend closes a bind whose Send waits: for a neighbour that never
// answers, with a socket that holds little.
func TestCloseEndsSend(t *testing.T) {
	left, _ := wired(t, netlab.New(t))
	small := func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
		}), err)
	}
	for _, addr := range []string{"192.0.2.77", "2001:db8::77"} {
		t.Run(addr, func(t *testing.T) {
			b := openOn(t, left, udp.New(&udp.Options{Control: small}))
			ep, err := b.ParseEndpoint(netip.AddrPortFrom(netip.MustParseAddr(addr), 9).String())
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() {
				for {
					if err := b.Send(payloads(same(64, 1452)...), ep); err != nil {
						done <- err
						return
					}
				}
			}()
			select {
			case err := <-done:
				t.Fatalf("Send does not wait: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			_ = b.Close()
			select {
			case err := <-done:
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Send: %v, want net.ErrClosed", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("Send still waits")
			}
		})
	}
}
