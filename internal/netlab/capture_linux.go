package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CaptureOptions say what a Capture keeps. Zero fields: everything.
type CaptureOptions struct {
	Without []Flow             // dropped in the kernel, at no cost
	Match   func(*Packet) bool // of the others; called on one goroutine
	Keep    int                // packets kept, the first ones; 0: 64
}

// A Capture watches the packets of an interface, in both directions. It is safe
// for concurrent use.
type Capture struct {
	tb   testing.TB
	dev  string
	o    CaptureOptions
	f    *os.File
	done chan struct{}

	mu    sync.Mutex
	count int
	kept  []Packet
	lost  int
}

// Capture watches the interface dev of h, of any link type, until the test
// ends. Packets are seen from the moment it returns. That none was lost in the
// kernel is checked at each look and at the end.
func (h *Host) Capture(tb testing.TB, dev string, o CaptureOptions) *Capture {
	tb.Helper()
	if o.Keep == 0 {
		o.Keep = 64
	}
	c := &Capture{tb: tb, dev: h.Name + "/" + dev, o: o, done: make(chan struct{})}
	index := h.link(dev).Attrs().Index
	if err := h.Do(func() error { return c.open(index) }); err != nil {
		tb.Fatalf("netlab: capture on %s: %v", c.dev, err)
	}
	go c.run()
	tb.Cleanup(c.Close)
	return c
}

// open makes the socket. The filter comes before the first packet can: a
// packet socket without a protocol receives nothing until it is bound.
func (c *Capture) open(index int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	c.f = os.NewFile(uintptr(fd), c.dev)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		return err
	}
	raw, err := without(c.o.Without)
	if err != nil {
		return err
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(prog)), Filter: unsafe.SliceData(prog)}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
}

func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// run reads until Close.
func (c *Capture) run() {
	defer close(c.done)
	rc, err := c.f.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1<<17)
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		err := rc.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC)
			return !errors.Is(rerr, syscall.EAGAIN)
		})
		if err != nil { // closed
			return
		}
		if sll, ok := from.(*unix.SockaddrLinklayer); ok && rerr == nil {
			c.see(buf[:min(n, len(buf))], sll)
		}
	}
}

func (c *Capture) see(b []byte, from *unix.SockaddrLinklayer) {
	p := Packet{
		Outgoing:  from.Pkttype == unix.PACKET_OUTGOING,
		EtherType: htons(from.Protocol), // its own inverse
		Len:       len(b),
		Data:      b[:min(len(b), 2048)],
	}
	p.parse()
	if c.o.Match != nil && !c.o.Match(&p) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if len(c.kept) < c.o.Keep {
		p.Data = slices.Clone(p.Data)
		p.parse() // Payload: of the copy
		c.kept = append(c.kept, p)
	}
}

// settle waits until what the kernel has delivered so far was looked at, and
// fails the test if the kernel had to drop anything.
func (c *Capture) settle() {
	c.tb.Helper()
	time.Sleep(20 * time.Millisecond) // a packet may still be between two devices
	rc, err := c.f.SyscallConn()
	if err != nil {
		return // closed: Close settled
	}
	lost, waiting := 0, 1
	for waiting > 0 {
		err = rc.Control(func(fd uintptr) {
			waiting, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ)
			if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				lost += int(st.Drops) // since the last call
			}
		})
		if err != nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	c.mu.Lock()
	c.lost += lost
	lost = c.lost
	c.mu.Unlock()
	if lost > 0 {
		c.tb.Errorf("netlab: capture on %s lost %d packets: it proves nothing", c.dev, lost)
	}
}

// Count is the number of packets seen so far.
func (c *Capture) Count() int {
	c.tb.Helper()
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Packets are the packets kept so far.
func (c *Capture) Packets() []Packet {
	c.tb.Helper()
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.kept)
}

// Reset forgets what was seen.
func (c *Capture) Reset() {
	c.tb.Helper()
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count, c.kept = 0, nil
}

// Wait waits until at least n packets were seen, and reports whether they were.
func (c *Capture) Wait(n int, timeout time.Duration) bool {
	c.tb.Helper()
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		if c.Count() >= n {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Report describes the packets kept, one a line, for a failure message.
func (c *Capture) Report() string {
	c.tb.Helper()
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := fmt.Sprintf("%d packets on %s", c.count, c.dev)
	for i := range min(len(c.kept), 16) {
		s += "\n\t" + c.kept[i].String()
	}
	return s
}

// Close ends the capture. It is idempotent, and the test's end does it too.
func (c *Capture) Close() {
	c.tb.Helper()
	c.settle()
	_ = c.f.Close()
	<-c.done
}
