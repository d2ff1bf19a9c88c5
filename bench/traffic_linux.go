package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// tcpPort is where a sink takes TCP connections.
const tcpPort = 5010

// A sink is the far end of measured TCP connections. Unlike netlab's targets it
// neither makes up nor hashes data, which would cost processor time that the
// measured programs need.
type sink struct {
	l     *net.TCPListener
	conns chan *net.TCPConn
	wg    sync.WaitGroup
}

func startSink(l *lab, h *netlab.Host) *sink {
	s := &sink{conns: make(chan *net.TCPConn)}
	if err := h.Do(func() (err error) {
		s.l, err = net.ListenTCP("tcp", &net.TCPAddr{Port: tcpPort})
		return err
	}); err != nil {
		l.Fatal(err)
	}
	done := make(chan struct{})
	s.wg.Go(func() {
		for {
			c, err := s.l.AcceptTCP()
			if err != nil {
				return
			}
			select {
			case s.conns <- c:
			case <-done:
				_ = c.Close()
			}
		}
	})
	l.Cleanup(func() {
		close(done)
		_ = s.l.Close()
		s.wg.Wait()
	})
	return s
}

// A transferred is what came of a timed transfer.
type transferred struct {
	bytes   int64 // that arrived
	took    time.Duration
	retrans int // segments
}

func (t transferred) mbps() float64 { return float64(t.bytes) * 8 / 1e6 / t.took.Seconds() }
func (t transferred) gib() float64  { return float64(t.bytes) / (1 << 30) }

// transfer moves data over so many TCP connections from h to the sink at addr,
// or back, for d.
func (s *sink) transfer(h *netlab.Host, addr netip.Addr, up bool, flows int, d time.Duration) (transferred, error) {
	var pairs [][2]*net.TCPConn // sender, receiver
	defer func() {
		for _, p := range pairs {
			_, _ = p[0].Close(), p[1].Close()
		}
	}()
	for range flows {
		near, far, err := s.connect(h, addr)
		if err != nil {
			return transferred{}, err
		}
		if up {
			pairs = append(pairs, [2]*net.TCPConn{near, far})
		} else {
			pairs = append(pairs, [2]*net.TCPConn{far, near})
		}
	}
	var total, retrans atomic.Int64
	errs := make([]error, 2*flows)
	var wg sync.WaitGroup
	start := time.Now()
	for i, p := range pairs {
		_ = p[0].SetDeadline(start.Add(d + time.Minute))
		_ = p[1].SetDeadline(start.Add(d + time.Minute))
		wg.Go(func() { errs[2*i] = push(p[0], start.Add(d), &retrans) })
		wg.Go(func() { errs[2*i+1] = pull(p[1], &total) })
	}
	wg.Wait()
	return transferred{total.Load(), time.Since(start), int(retrans.Load())}, errors.Join(errs...)
}

func (s *sink) connect(h *netlab.Host, addr netip.Addr) (near, far *net.TCPConn, err error) {
	err = h.Do(func() error {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, tcpPort).String(), 20*time.Second)
		if err == nil {
			near = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	select {
	case far = <-s.conns:
		return near, far, nil
	case <-time.After(20 * time.Second):
		_ = near.Close()
		return nil, nil, fmt.Errorf("the connection to %v was not accepted", addr)
	}
}

// block is the size of reads and writes.
const block = 1 << 18

// push writes until end, and then waits until all was acknowledged.
func push(c *net.TCPConn, end time.Time, retrans *atomic.Int64) error {
	b := make([]byte, block)
	for time.Now().Before(end) {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	_, err := c.Read(b[:1]) // the receiver closes when it has all
	info, ierr := tcpInfo(c)
	if ierr == nil {
		retrans.Add(int64(info.Total_retrans))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// pull reads to the end.
func pull(c *net.TCPConn, total *atomic.Int64) error {
	b := make([]byte, block)
	for {
		n, err := c.Read(b)
		total.Add(int64(n))
		if err != nil {
			_ = c.CloseWrite()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func tcpInfo(c *net.TCPConn) (info *unix.TCPInfo, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); cerr != nil {
		return nil, cerr
	}
	return info, err
}
