package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// udpPort is where a counter takes datagrams.
const udpPort = 5011

// A counter counts datagrams that reach a host, and keeps nothing.
type counter struct {
	c   *net.UDPConn
	got atomic.Int64
}

func startCounter(l *lab, h *netlab.Host) *counter {
	c := new(counter)
	if err := h.Do(func() (err error) {
		lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
			}), err)
		}}
		pc, err := lc.ListenPacket(context.Background(), "udp4", (&net.UDPAddr{Port: udpPort}).String())
		if err == nil {
			c.c = pc.(*net.UDPConn)
		}
		return err
	}); err != nil {
		l.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run()
	}()
	l.Cleanup(func() {
		_ = c.c.Close()
		<-done
	})
	return c
}

func (c *counter) run() {
	pc := ipv4.NewPacketConn(c.c)
	msgs := newMessages(64, 2048)
	for {
		n, err := pc.ReadBatch(msgs, 0)
		if err != nil {
			return
		}
		c.got.Add(int64(n))
	}
}

func newMessages(n, size int) []ipv4.Message {
	msgs := make([]ipv4.Message, n)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{make([]byte, size)}
	}
	return msgs
}

// A spray is what came of sending datagrams.
type spray struct {
	sent, got int64
	took      time.Duration
}

func (s spray) loss() float64 { return 100 * float64(s.sent-s.got) / float64(max(s.sent, 1)) }

// send sends datagrams of size bytes of payload from h to the counter at addr
// for d: rate a second; 0: as many as go.
func (c *counter) send(h *netlab.Host, addr netip.Addr, size int, rate float64, d time.Duration) (spray, error) {
	var conn net.Conn
	if err := h.Do(func() (err error) {
		conn, err = net.Dial("udp4", netip.AddrPortFrom(addr, udpPort).String())
		return err
	}); err != nil {
		return spray{}, err
	}
	defer func() { _ = conn.Close() }()
	pc := ipv4.NewPacketConn(conn.(*net.UDPConn))
	msgs := newMessages(64, size)
	before := c.got.Load()
	start := time.Now()
	sent := int64(0)
	for {
		passed := time.Since(start)
		if passed >= d {
			break
		}
		due := int64(len(msgs))
		if rate > 0 {
			if due = min(int64(rate*passed.Seconds())-sent, due); due <= 0 {
				time.Sleep(500 * time.Microsecond)
				continue
			}
		}
		n, err := pc.WriteBatch(msgs[:due], 0)
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.ECONNREFUSED) {
			return spray{}, err
		}
		sent += int64(max(n, 0))
	}
	took := time.Since(start)
	for last := int64(-1); last != c.got.Load(); { // until nothing more comes
		last = c.got.Load()
		time.Sleep(200 * time.Millisecond)
	}
	return spray{sent, c.got.Load() - before, took}, nil
}
