package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// A pinger sends ICMP echo requests from a host, IPv4, one at a time. The far
// kernel answers: no process of ours adds to the round trip there.
type pinger struct {
	c    *icmp.PacketConn
	dst  net.Addr
	seq  int
	last []byte // payload
	buf  []byte
}

// newPinger returns one whose packets are never fragmented on h.
func newPinger(h *netlab.Host, addr netip.Addr) (*pinger, error) {
	p := &pinger{dst: &net.UDPAddr{IP: addr.AsSlice()}, buf: make([]byte, 1<<16)}
	err := h.Do(func() (err error) {
		p.c, err = icmp.ListenPacket("udp4", "0.0.0.0")
		return err
	})
	if err != nil {
		return nil, err
	}
	raw, err := p.c.IPv4PacketConn().PacketConn.(*net.UDPConn).SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
		})
		if cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		_ = p.c.Close()
		return nil, err
	}
	return p, nil
}

func (p *pinger) close() { _ = p.c.Close() }

// ping sends a request with size bytes of payload, at least 8, and returns the
// round trip; ok is false if no answer came in time.
func (p *pinger) ping(size int, timeout time.Duration) (rtt time.Duration, ok bool) {
	p.seq++
	size = max(size, 8)
	p.last = append(p.last[:0], make([]byte, size)...)
	binary.BigEndian.PutUint64(p.last, uint64(p.seq))
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{Seq: p.seq & 0xffff, Data: p.last}}
	b, err := m.Marshal(nil)
	if err != nil {
		return 0, false
	}
	start := time.Now()
	_ = p.c.SetDeadline(start.Add(timeout))
	if _, err := p.c.WriteTo(b, p.dst); err != nil {
		return 0, false
	}
	for {
		n, _, err := p.c.ReadFrom(p.buf)
		if err != nil {
			return 0, false
		}
		// Type, code, checksum, id, sequence number: 8 bytes, then the payload.
		if n == size+8 && p.buf[0] == byte(ipv4.ICMPTypeEchoReply) && binary.BigEndian.Uint64(p.buf[8:]) == uint64(p.seq) {
			return time.Since(start), true
		}
	}
}

// wait pings until an answer comes, and reports whether one did.
func (p *pinger) wait(timeout time.Duration) bool {
	for end := time.Now().Add(timeout); time.Now().Before(end); {
		if _, ok := p.ping(32, 200*time.Millisecond); ok {
			return true
		}
		time.Sleep(10 * time.Millisecond) // refused at once: do not spin
	}
	return false
}

// rtts pings for d, every 5 ms, and returns the round trips in milliseconds.
func (p *pinger) rtts(d time.Duration) []float64 {
	var all []float64
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if rtt, ok := p.ping(32, time.Second); ok {
			all = append(all, rtt.Seconds()*1000)
		}
	}
	return all
}

// largest returns the largest payload that is answered, by binary search up to
// most; -1: none is.
func (p *pinger) largest(most int) int {
	low, high := 7, most+1 // answered (8 would be), not answered
	for high-low > 1 {
		mid := (low + high) / 2
		ok := false
		for try := 0; try < 2 && !ok; try++ {
			_, ok = p.ping(mid, 500*time.Millisecond)
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	if low == 7 {
		return -1
	}
	return low
}
