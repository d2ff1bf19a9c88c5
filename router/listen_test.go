package router

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"multihop/packet"
)

// checkLeaks fails the test if goroutines remain that it started. It comes
// first, so that its check comes last. wireguard-go's own end within a second.
func checkLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		var err error
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			if err = goleak.Find(before, goleak.IgnoreAnyFunction("golang.zx2c4.com/wireguard/device.(*Device).RoutineTUNEventReader")); err == nil {
				return
			}
		}
		t.Error(err)
	})
}

// listen opens a socket inside a hop of a lab, once the router runs.
func (l *lab) listen(hop, network string) net.PacketConn {
	l.t.Helper()
	eventually(l.t, 5*time.Second, "the router runs", func() bool { return l.r.table.Load().hop(hop) != nil })
	c, err := l.r.ListenUDP(hop, network)
	must(l.t, err)
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

func udpAddr(a netip.Addr, port uint16) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port))
}

func TestListenUDP(t *testing.T) {
	checkLeaks(t)
	l := newLab(t, nil)
	l.start()
	for _, tt := range []struct {
		name, hop, network string
		dst, own           netip.Addr
	}{
		{"IPv4 inside the entry", "entry", "udp4", nearNet.Addr().Next(), entryTunnel},
		{"IPv4 inside the exit", "exit", "udp4", farNet.Addr().Next(), exitTunnel},
		{"IPv6 inside the exit", "exit", "udp6", farNet6.Addr().Next(), exitTunnel6},
		{"inside the entry, whatever the routes say", "entry", "udp4", farNet.Addr().Next(), entryTunnel},
		{"without a route", "sibling", "udp4", farNet.Addr().Next(), siblingTunnel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := l.listen(tt.hop, tt.network)
			local := c.LocalAddr().(*net.UDPAddr).AddrPort()
			if local.Addr() != tt.own || local.Port() < firstLinkPort || local.Port() > lastLinkPort {
				t.Errorf("local address %v", local)
			}
			payload := "asked by " + tt.name
			n, err := c.WriteTo([]byte(payload), udpAddr(tt.dst, 7))
			if err != nil || n != len(payload) {
				t.Fatalf("WriteTo: %d %v", n, err)
			}
			must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
			b := make([]byte, 100)
			n, from, err := c.ReadFrom(b)
			must(t, err)
			if string(b[:n]) != payload || from.String() != netip.AddrPortFrom(tt.dst, 7).String() {
				t.Errorf("%q from %v", b[:n], from)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.seen[payload] != tt.own {
				t.Errorf("the host saw %v, want %v", l.seen[payload], tt.own)
			}
		})
	}
	if pkt := l.recv(10 * time.Millisecond); pkt != nil {
		t.Errorf("a socket's packet reached the TUN: %x", pkt)
	}
}

// TestListenUDPShortBuffer: what does not fit the buffer is cut, as UDP is, and
// the next datagram is whole.
func TestListenUDPShortBuffer(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	c := l.listen("entry", "udp4")
	must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	for _, payload := range []string{"first", "second"} {
		_, err := c.WriteTo([]byte(payload), udpAddr(nearNet.Addr().Next(), 7))
		must(t, err)
		b := make([]byte, 3)
		n, _, err := c.ReadFrom(b)
		if err != nil || string(b[:n]) != payload[:3] {
			t.Errorf("%q %v", b[:n], err)
		}
	}
}

func TestListenUDPErrors(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Hops[0].Addrs = l.cfg.Hops[0].Addrs[:1]
	l.start()
	c := l.listen("exit", "udp4")
	for _, tt := range []struct{ name, hop, network, want string }{
		{"unknown hop", "elsewhere", "udp4", `router: no hop is named "elsewhere"`},
		{"unknown network", "exit", "udp", "unknown network udp"},
		{"TCP", "exit", "tcp4", "unknown network tcp4"},
		{"no address of the family", "entry", "udp6", "router: hop entry has no address for udp6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := l.r.ListenUDP(tt.hop, tt.network); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name string
		size int
		to   net.Addr
		want string
	}{
		{"no UDP address", 1, &net.IPAddr{IP: net.IPv4(198, 51, 100, 1)}, "address 198.51.100.1: not a UDP address"},
		{"other family", 1, udpAddr(farNet6.Addr(), 7), "address [2001:db8:f::]:7: not of the socket's family"},
		{"too large", 1333, udpAddr(farNet.Addr().Next(), 7), "router: a datagram of 1333 bytes: the MTU of hop exit leaves 1332"},
		{"huge", 70000, udpAddr(farNet.Addr().Next(), 7), "router: a datagram of 70000 bytes: the MTU of hop exit leaves 1332"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n, err := c.WriteTo(make([]byte, tt.size), tt.to); n != 0 || err == nil || err.Error() != tt.want {
				t.Errorf("%d, %v, want %s", n, err, tt.want)
			}
		})
	}
	t.Run("largest", func(t *testing.T) {
		must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		_, err := c.WriteTo(make([]byte, 1332), udpAddr(farNet.Addr().Next(), 7))
		must(t, err)
		if n, _, err := c.ReadFrom(make([]byte, 2000)); n != 1332 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	})
}

// TestListenUDPDeadline: a bubble's clock stands still but for timers, so that
// times are exact.
func TestListenUDPDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bareHops(1)[0]
		h.r.table.Store(model{}.table(t, []*hop{h}))
		c, err := h.r.ListenUDP("h0", "udp4")
		must(t, err)
		defer c.Close()
		port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		expired := func(what string, after time.Duration) {
			t.Helper()
			start := time.Now()
			_, _, err := c.ReadFrom(make([]byte, 10))
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("%s: %v", what, err)
			}
			if d := time.Since(start); d != after {
				t.Errorf("%s: after %v, want %v", what, d, after)
			}
		}
		later := func(d, deadline time.Duration) {
			at := time.Now().Add(deadline)
			time.AfterFunc(d, func() { _ = c.SetReadDeadline(at) })
		}
		must(t, c.SetDeadline(time.Now().Add(-time.Second)))
		expired("in the past", 0)
		must(t, c.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
		expired("in the future", 30*time.Millisecond)
		must(t, c.SetReadDeadline(time.Time{}))
		later(10*time.Millisecond, 20*time.Millisecond)
		expired("set while reading", 20*time.Millisecond)
		must(t, c.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
		later(10*time.Millisecond, 100*time.Millisecond)
		expired("put off while reading", 100*time.Millisecond)
		must(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		later(10*time.Millisecond, 5*time.Millisecond)
		expired("moved to the past while reading", 10*time.Millisecond)

		must(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		must(t, c.SetWriteDeadline(time.Now().Add(-time.Second))) // writes never wait
		if n, err := c.WriteTo([]byte("x"), udpAddr(nearNet.Addr().Next(), 7)); n != 1 || err != nil {
			t.Errorf("WriteTo: %d %v", n, err)
		}
		time.AfterFunc(time.Minute, func() {
			h.deliver([][]byte{udp(netip.AddrPortFrom(nearNet.Addr().Next(), 7), netip.AddrPortFrom(h.addr4, port), []byte("x"))}, 0)
		})
		start := time.Now()
		if n, _, err := c.ReadFrom(make([]byte, 10)); n != 1 || err != nil || time.Since(start) != time.Minute {
			t.Errorf("after a time-out: %d %v, after %v", n, err, time.Since(start))
		}
	})
}

// TestListenUDPEnds: a socket that is closed, by itself, with its hop or with
// the router, wakes its reader and writes no more.
func TestListenUDPEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(l *lab, c net.PacketConn) error
	}{
		{"Close", func(_ *lab, c net.PacketConn) error { return c.Close() }},
		{"with its hop", func(l *lab, _ net.PacketConn) error {
			l.cfg.Hops, l.cfg.Routes = l.cfg.Hops[:1], l.cfg.Routes[1:2]
			l.apply()
			if _, err := l.r.ListenUDP("exit", "udp4"); err == nil {
				t.Error("a socket inside a hop that is gone")
			}
			return nil
		}},
		{"with the router", func(l *lab, _ net.PacketConn) error {
			err := l.r.Close()
			if _, err := l.r.ListenUDP("exit", "udp4"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a socket inside a closed router: %v", err)
			}
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkLeaks(t)
			l := newLab(t, nil)
			l.start()
			c := l.listen("exit", "udp4")
			done := make(chan error, 2)
			for range cap(done) {
				go func() {
					_, _, err := c.ReadFrom(make([]byte, 10))
					done <- err
				}()
			}
			time.Sleep(20 * time.Millisecond)
			must(t, tt.end(l, c))
			for range cap(done) {
				select {
				case err := <-done:
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("ReadFrom: %v", err)
					}
				case <-time.After(5 * time.Second):
					t.Fatal("ReadFrom does not return")
				}
			}
			if _, err := c.WriteTo([]byte("x"), udpAddr(farNet.Addr().Next(), 7)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("WriteTo: %v", err)
			}
			must(t, c.Close())
			must(t, c.Close())
		})
	}
}

// TestListenUDPOwnsPort: sockets have different ports, and a program on the
// host that uses one of them cannot take its replies.
func TestListenUDPOwnsPort(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	ports := make(map[uint16]bool)
	var port uint16
	for range 50 {
		port = l.listen("exit", "udp4").LocalAddr().(*net.UDPAddr).AddrPort().Port()
		if ports[port] {
			t.Fatalf("port %d twice", port)
		}
		ports[port] = true
	}
	l.send(udp(netip.AddrPortFrom(l.tunAddr(farNet.Addr()), port), netip.AddrPortFrom(farNet.Addr().Next(), 7), []byte("stolen")))
	eventually(t, 5*time.Second, "the packet is dropped", func() bool { return l.hop("exit").Drops[dropLinkPort.String()] == 1 })
	if h := l.r.table.Load().hop("exit"); len(*h.sockets.Load()) != 50 {
		t.Errorf("%d sockets", len(*h.sockets.Load()))
	}
}

// TestListenUDPFull: what nobody reads is dropped and counted; the oldest stay.
func TestListenUDPFull(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	c := l.listen("entry", "udp4")
	h := l.r.table.Load().hop("entry")
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	bufs := make([][]byte, linkSlots+10)
	for i := range bufs {
		bufs[i] = udp(netip.AddrPortFrom(nearNet.Addr().Next(), 7), netip.AddrPortFrom(entryTunnel, port), []byte{byte(i), byte(i >> 8)})
	}
	h.deliver(bufs, 0)
	if n := h.drops[dropLinkFull].Load(); n != 10 {
		t.Errorf("link_full %d, want 10", n)
	}
	b := make([]byte, 10)
	for i := range linkSlots {
		if n, _, err := c.ReadFrom(b); err != nil || n != 2 || int(b[0])|int(b[1])<<8 != i {
			t.Fatalf("datagram %d: %x %v", i, b[:n], err)
		}
	}
	// Somebody else's address is not the socket's, whatever the port.
	other := udp(netip.AddrPortFrom(nearNet.Addr().Next(), 7), netip.AddrPortFrom(exitTunnel, port), []byte("x"))
	var m packet.Meta
	if m.Parse(other) != packet.OK {
		t.Fatal("malformed")
	}
	h.deliver([][]byte{other}, 0)
	must(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	if _, _, err := c.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a packet for another address came in: %v", err)
	}
	if n := h.drops[dropDestination].Load(); n != 1 {
		t.Errorf("destination %d, want 1", n)
	}
}

// TestClosedLink: what was under way for a link that closes is counted as that, and
// not as a forgery; what is for other ports still is.
func TestClosedLink(t *testing.T) {
	d := newDemux(t)
	from := netip.AddrPortFrom(exitAddr, 51820)
	count := func(port uint16) (closed, spoof uint64) {
		drops := &d.entry.hop.drops
		c, s := drops[dropLinkClosed].Load(), drops[dropSpoof].Load()
		_, err := d.entry.Write(d.inbound([][]byte{udp(from, netip.AddrPortFrom(d.linkAddr.Addr(), port), make([]byte, 32))}), wgOffset)
		must(t, err)
		return drops[dropLinkClosed].Load() - c, drops[dropSpoof].Load() - s
	}
	must(t, d.exit.link.Close())
	if closed, spoof := count(d.linkAddr.Port()); closed != 1 || spoof != 0 {
		t.Errorf("for the closed link: %d, forged: %d; want 1, 0", closed, spoof)
	}
	if closed, spoof := count(d.linkAddr.Port() + 1); closed != 0 || spoof != 1 {
		t.Errorf("for another port: %d, forged: %d; want 0, 1", closed, spoof)
	}
	old := closedLinks{d.linkAddr.Port(): d.r.clock() - int64(closedWait)}
	d.entry.hop.closed.Store(&old)
	if closed, spoof := count(d.linkAddr.Port()); closed != 0 || spoof != 1 {
		t.Errorf("for a link that closed long ago: %d, forged: %d; want 0, 1", closed, spoof)
	}
	if next := old.with(7, d.r.clock()); len(next) != 1 || next[7] == 0 {
		t.Errorf("remembered are %v, want port 7 alone", next)
	}
}
