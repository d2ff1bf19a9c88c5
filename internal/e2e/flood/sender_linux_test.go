package flood_test

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"multihop/internal/netlab"
)

const (
	floodTime = 20 * time.Second
	sendBatch = 64 // datagrams per system call

	// sinkPort is where floods go to: what arrives there waits in a socket that
	// nobody reads, and is dropped when that is full, at no cost.
	sinkPort = 5009
)

// A sender sends datagrams as fast as it can.
type sender struct {
	stop chan struct{}
	wg   sync.WaitGroup
	sent atomic.Int64 // datagrams that the kernel took
}

// send floods to from h, until end. fill writes a payload and returns its
// length.
func send(tb testing.TB, h *netlab.Host, to netip.AddrPort, fill func(b []byte) int) *sender {
	tb.Helper()
	var c *net.UDPConn
	err := h.Do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	s := &sender{stop: make(chan struct{})}
	s.wg.Go(func() {
		defer c.Close()
		s.run(ipv4.NewPacketConn(c), fill)
	})
	return s
}

func (s *sender) run(c *ipv4.PacketConn, fill func(b []byte) int) {
	bufs := make([][]byte, sendBatch)
	ms := make([]ipv4.Message, sendBatch)
	for i := range bufs {
		bufs[i] = make([]byte, 1500)
	}
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		for i, b := range bufs {
			ms[i].Buffers = [][]byte{b[:fill(b)]}
		}
		// An error is an earlier datagram's ICMP: the flood goes on.
		if n, err := c.WriteBatch(ms, 0); err == nil {
			s.sent.Add(int64(n))
		}
	}
}

// end stops the sender and returns how many datagrams it sent.
func (s *sender) end() int64 {
	close(s.stop)
	s.wg.Wait()
	return s.sent.Load()
}

// sink opens sinkPort on h, until the test ends.
func sink(tb testing.TB, h *netlab.Host) {
	tb.Helper()
	var c net.PacketConn
	err := h.Do(func() (err error) {
		c, err = net.ListenPacket("udp", netip.AddrPortFrom(netip.IPv6Unspecified(), sinkPort).String())
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
}

// sized returns a fill for payloads of these sizes, in turn.
func sized(sizes ...int) func([]byte) int {
	i := 0
	return func([]byte) int {
		i++
		return sizes[i%len(sizes)]
	}
}
