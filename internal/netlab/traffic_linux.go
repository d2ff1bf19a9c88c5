package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// A Transferred is what came of a TCP transfer.
type Transferred struct {
	From netip.AddrPort // of the client, as the target saw it
	Took time.Duration
	Size int64
}

// Mbps is the rate in Mbit/s.
func (t Transferred) Mbps() float64 { return float64(t.Size) * 8 / 1e6 / t.Took.Seconds() }

// Upload sends size bytes from h to the Target at addr over TCP. It is an error
// if they do not arrive whole, checked by hash, within timeout.
func (h *Host) Upload(addr netip.Addr, size int64, timeout time.Duration) (Transferred, error) {
	return h.transfer(addr, request{size: size, seed: rand.Uint64()}, timeout)
}

// Download is Upload in the other direction.
func (h *Host) Download(addr netip.Addr, size int64, timeout time.Duration) (Transferred, error) {
	return h.transfer(addr, request{down: true, size: size, seed: rand.Uint64()}, timeout)
}

func (h *Host) transfer(addr netip.Addr, r request, timeout time.Duration) (Transferred, error) {
	start := time.Now()
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", netip.AddrPortFrom(addr, TransferPort).String(), timeout)
		return err
	})
	if err != nil {
		return Transferred{}, err
	}
	defer c.Close()
	_ = c.SetDeadline(start.Add(timeout))
	from, err := transfer(c, r)
	return Transferred{From: from, Took: time.Since(start), Size: r.size}, err
}

// Echo sends a datagram of size payload bytes from h to the Target at addr and
// returns the source that the target saw, once its answer is back. Datagrams
// are sent again every 200 ms until timeout; an answer to any of them will do.
func (h *Host) Echo(addr netip.Addr, size int, timeout time.Duration) (netip.AddrPort, error) {
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = net.Dial("udp", netip.AddrPortFrom(addr, EchoPort).String())
		return err
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer c.Close()
	buf := make([]byte, 1<<16)
	end := time.Now().Add(timeout)
	last := errors.New("no time to ask")
	for i := 0; time.Now().Before(end); i++ {
		next := time.Now().Add(200 * time.Millisecond)
		_ = c.SetDeadline(next)
		n := 0
		if _, err = c.Write(count(i, size)); err == nil {
			n, err = c.Read(buf)
		}
		if err == nil {
			head, rest, _ := bytes.Cut(buf[:n], []byte("\n"))
			if len(rest) != size || size > 0 && !bytes.Equal(rest, count(int(rest[0]), size)) {
				return netip.AddrPort{}, fmt.Errorf("netlab: echo from %v differs from what was sent", addr)
			}
			return netip.ParseAddrPort(string(head))
		}
		last = err
		time.Sleep(time.Until(next)) // refused at once: do not spin
	}
	return netip.AddrPort{}, fmt.Errorf("netlab: echo of %v: %w", addr, last)
}

// count returns n bytes that count up from i.
func count(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i + j)
	}
	return b
}

// Ping sends n echo requests with size payload bytes from h to addr, one at a
// time, and returns how many were answered, each within timeout, and the
// shortest round trip.
func (h *Host) Ping(addr netip.Addr, n, size int, timeout time.Duration) (int, time.Duration, error) {
	network, local, proto := "udp4", "0.0.0.0", ProtoICMP
	var request icmp.Type = ipv4.ICMPTypeEcho
	var reply icmp.Type = ipv4.ICMPTypeEchoReply
	if addr.Is6() {
		network, local, proto = "udp6", "::", ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	var c *icmp.PacketConn
	err := h.Do(func() (err error) {
		c, err = icmp.ListenPacket(network, local) // the kernel chooses the id and gives us its replies only
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	got, best := 0, time.Duration(0)
	payload := count(0, size)
	buf := make([]byte, 1<<16)
	for seq := range n {
		m := icmp.Message{Type: request, Body: &icmp.Echo{Seq: seq, Data: payload}}
		b, err := m.Marshal(nil)
		if err != nil {
			return got, best, err
		}
		start := time.Now()
		_ = c.SetDeadline(start.Add(timeout))
		if _, err = c.WriteTo(b, &net.UDPAddr{IP: addr.AsSlice()}); err != nil {
			time.Sleep(timeout / 4) // rejected: no route, or prohibited; do not spin
			continue
		}
		for {
			k, _, err := c.ReadFrom(buf)
			if err != nil {
				break
			}
			a, err := icmp.ParseMessage(proto, buf[:k])
			if err != nil || a.Type != reply {
				continue
			}
			e, ok := a.Body.(*icmp.Echo)
			if !ok || e.Seq != seq || !bytes.Equal(e.Data, payload) {
				continue
			}
			got++
			if d := time.Since(start); best == 0 || d < best {
				best = d
			}
			break
		}
	}
	return got, best, nil
}
