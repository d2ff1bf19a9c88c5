package flood_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

const (
	floodTime = 20 * time.Second

	// A system call sends sendBatch super-packets: to send must cost less than
	// to receive, or there is no flood.
	sendBatch  = 4
	maxPayload = 65000 // of a super-packet

	// Datagrams in a super-packet. A batch is what wireguard-go takes at once.
	// A queue of super-packets may hold many times the packets that it would
	// otherwise, and would outlast the flood: hence few.
	batch = 64
	few   = 4

	// sinkPort is where floods go to: what arrives there waits in a socket that
	// nobody reads, and is dropped when that is full, at no cost.
	sinkPort = 5009
)

// A sender sends datagrams at a rate, or as fast as it can if that is less.
type sender struct {
	stop chan struct{}
	wg   sync.WaitGroup
	sent atomic.Int64 // datagrams that the kernel took
}

// A payload says what is sent, and how fast. A flood is more than a hop carries,
// and little enough to leave the processors of a small machine to those who
// should carry it.
type payload struct {
	sizes    []int        // in turn
	segments int          // datagrams in a super-packet, if so many fit
	rate     int64        // datagrams a second, at most
	head     func([]byte) // writes what a datagram begins with; nil: zeros
}

// send floods to from h, until end.
func send(tb testing.TB, h *netlab.Host, to netip.AddrPort, p payload) *sender {
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
		s.run(ipv4.NewPacketConn(c), p)
	})
	return s
}

func (s *sender) run(c *ipv4.PacketConn, p payload) {
	bufs := make([][]byte, sendBatch)
	ms := make([]ipv4.Message, sendBatch)
	segments := make([]int64, sendBatch)
	for i := range bufs {
		bufs[i] = make([]byte, maxPayload)
	}
	start := time.Now()
	for turn := 0; ; {
		select {
		case <-s.stop:
			return
		default:
		}
		for i, b := range bufs {
			size := p.sizes[turn%len(p.sizes)]
			turn++
			n := min(p.segments, maxPayload/size)
			for k := 0; k < n && p.head != nil; k++ {
				p.head(b[k*size:])
			}
			ms[i].Buffers = [][]byte{b[:n*size]}
			ms[i].OOB = segmentSize(uint16(size))
			segments[i] = int64(n)
		}
		// An error is an earlier datagram's ICMP: the flood goes on.
		sent, err := c.WriteBatch(ms, 0)
		for i := 0; i < sent && err == nil; i++ {
			s.sent.Add(segments[i])
		}
		time.Sleep(time.Duration(s.sent.Load()*int64(time.Second)/p.rate) - time.Since(start))
	}
}

// segmentSize is the control message that cuts a super-packet into datagrams of
// that size.
func segmentSize(size uint16) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], size)
	return b
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
