package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// How long a flow waits for a connection, and how long for an answer on one,
// before it makes another.
const (
	dialTime = 700 * time.Millisecond
	patience = 1500 * time.Millisecond
)

// run sends until done.
func (f *Flow) run(done <-chan struct{}) {
	switch f.Proto {
	case TCP:
		f.connections(done)
	case DNSTCP:
		f.queries(done)
	case ICMP:
		f.pings(done)
	default:
		f.datagrams(done)
	}
}

// wait waits for the flow's next turn; false: it has to end.
func wait(tick *time.Ticker, done <-chan struct{}) bool {
	select {
	case <-tick.C:
		return true
	case <-done:
		return false
	}
}

// Payload is what UDP and TCP flows send: no message of WireGuard's begins so.
const payload = "multihop-probe "

// datagrams sends by a socket that is not connected, so that the kernel chooses
// the way and the source of each datagram anew.
func (f *Flow) datagrams(done <-chan struct{}) {
	message := []byte(payload + f.Name)
	if f.Proto == DNS {
		message = question(probeName, dnsmessage.TypeA)
	}
	var c net.PacketConn
	err := f.From.Do(func() (err error) {
		l := net.ListenConfig{Control: f.control}
		local := netip.AddrPortFrom(f.Bind, 0)
		if !f.Bind.IsValid() {
			local = netip.AddrPortFrom(unspecified(f.To.Addr()), 0)
		}
		c, err = l.ListenPacket(context.Background(), "udp", local.String())
		return err
	})
	if err != nil {
		return // Settle tells
	}
	defer c.Close()
	go f.count(c)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for wait(tick, done) {
		f.sent.Add(1)
		_, _ = c.WriteTo(message, net.UDPAddrFromAddrPort(f.To)) // refused: tried all the same
	}
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// count counts answers until c is closed. Errors on the way are ICMP errors.
func (f *Flow) count(c net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		_, from, err := c.ReadFrom(buf)
		switch {
		case closed(err):
			return
		case err == nil && addrOf(from) == f.To.Addr():
			f.answered.Add(1)
		}
	}
}

func addrOf(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// pings sends echo requests by a socket of the kernel's ping.
func (f *Flow) pings(done <-chan struct{}) {
	network, proto := "udp4", netlab.ProtoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if f.To.Addr().Is6() {
		network, proto = "udp6", netlab.ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	var c *icmp.PacketConn
	err := f.From.Do(func() (err error) {
		c, err = icmp.ListenPacket(network, unspecified(f.To.Addr()).String())
		return err
	})
	if err != nil {
		return // Settle tells
	}
	defer c.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, _, err := c.ReadFrom(buf)
			if closed(err) {
				return
			}
			if m, perr := icmp.ParseMessage(proto, buf[:max(n, 0)]); err == nil && perr == nil && m.Type == reply {
				f.answered.Add(1)
			}
		}
	}()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for seq := 0; wait(tick, done); seq++ {
		m := icmp.Message{Type: request, Body: &icmp.Echo{Seq: seq & 0xffff, Data: []byte(payload + f.Name)}}
		b, err := m.Marshal(nil)
		if err != nil {
			return
		}
		f.sent.Add(1)
		_, _ = c.WriteTo(b, &net.UDPAddr{IP: f.To.Addr().AsSlice()})
	}
}

// dial opens a connection; whether it is to be is for the kernel to say.
func (f *Flow) dial(done <-chan struct{}) (c net.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	err = f.From.Do(func() (err error) {
		d := net.Dialer{Control: f.control}
		if f.Bind.IsValid() {
			d.LocalAddr = &net.TCPAddr{IP: f.Bind.AsSlice()}
		}
		c, err = d.DialContext(ctx, "tcp", f.To.String())
		return err
	})
	return c, err
}

// control binds a socket to the flow's interface.
func (f *Flow) control(_, _ string, rc syscall.RawConn) (err error) {
	if f.Dev == "" {
		return nil
	}
	if cerr := rc.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), f.Dev) }); cerr != nil {
		return cerr
	}
	return err
}

// connections keeps a connection open and sends on it, answered or not, until
// it has been silent for too long; then it opens another.
func (f *Flow) connections(done <-chan struct{}) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for wait(tick, done) {
		f.sent.Add(1)
		if c, err := f.dial(done); err == nil {
			f.converse(c, tick, done)
		}
	}
}

func (f *Flow) converse(c net.Conn, tick *time.Ticker, done <-chan struct{}) {
	defer c.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, 2048)
		for {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := c.Read(buf); err != nil {
				return
			}
			f.answered.Add(1)
		}
	}()
	for wait(tick, done) {
		select {
		case <-over:
			return
		default:
		}
		f.sent.Add(1)
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte(payload + f.Name)); err != nil {
			return
		}
	}
}

// queries asks a resolver by TCP, each time by a connection of its own.
func (f *Flow) queries(done <-chan struct{}) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for wait(tick, done) {
		f.sent.Add(1)
		c, err := f.dial(done)
		if err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if writeDNS(c, question(probeName, dnsmessage.TypeA)) == nil {
			if _, err := readDNS(c); err == nil {
				f.answered.Add(1)
			}
		}
		_ = c.Close()
	}
}

// closed reports whether err is that of a socket that was closed.
func closed(err error) bool { return errors.Is(err, net.ErrClosed) }
