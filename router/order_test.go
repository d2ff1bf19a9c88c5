package router

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"multihop/packet"
)

// An ordered stream, from one UDP port, notes the numbers of its packets as they come.
type ordered struct {
	from netip.AddrPort

	mu   sync.Mutex
	came []uint32
}

func (o *ordered) note(pkt []byte) {
	var m packet.Meta
	if m.Parse(pkt) != packet.OK || m.Proto != packet.ProtoUDP || m.SrcPort != o.from.Port() {
		return
	}
	if b, ok := packet.UDPPayload(pkt, &m); ok && len(b) >= 4 {
		o.mu.Lock()
		o.came = append(o.came, binary.BigEndian.Uint32(b))
		o.mu.Unlock()
	}
}

func (o *ordered) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.came)
}

// push sends packets, a batch at a time, until n have come; others may be lost.
func (o *ordered) push(t *testing.T, n int, to netip.AddrPort, send func(pkts ...[]byte)) {
	t.Helper()
	next := uint32(0)
	for end := time.Now().Add(time.Minute); o.count() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d packets sent, %d came, want %d", next, o.count(), n)
			return
		}
		var pkts [][]byte
		for range 32 {
			next++
			b := binary.BigEndian.AppendUint32(make([]byte, 0, 1000), next)
			pkts = append(pkts, udp(o.from, to, b[:1000]))
		}
		send(pkts...)
	}
}

// flood sends batches, more than two hops can take, until stop.
func flood(from, to netip.AddrPort, send func(pkts ...[]byte)) (stop func()) {
	var wg sync.WaitGroup
	quit := make(chan struct{})
	wg.Go(func() {
		var pkts [][]byte
		for range 64 {
			pkts = append(pkts, udp(from, to, make([]byte, 1000)))
		}
		for {
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Microsecond):
				send(pkts...)
			}
		}
	})
	return func() { close(quit); wg.Wait() }
}

// misplaced returns how many packets came after one with a higher number, or twice.
func (o *ordered) misplaced() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := uint32(0)
	for _, x := range o.came {
		if x <= last {
			n++
		}
		last = max(last, x)
	}
	return n
}

// TestOrder: packets of a flow leave a hop and its carrier in the order in which they
// came, in both directions, while other flows fill both, and overload the way out.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		swaps bool
	}{
		{"detector: a network that swaps some", true},
		{"a network that swaps none", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.start()
			far, near := farNet.Addr().Next(), nearNet.Addr().Next()
			for _, dst := range []netip.Addr{far, near} {
				if _, ok := l.exchange(dst, 10*time.Second); !ok {
					t.Fatal("no path")
				}
			}
			if tt.swaps {
				l.net.Host(clientAddr).Divert(swapper())
				l.entry.Outside().Divert(swapper())
			}
			const n = 3_000
			out := ordered{from: netip.AddrPortFrom(l.tunAddr(far), 4100)} // the far host echoes its packets
			in := ordered{from: netip.AddrPortFrom(far, 4200)}
			l.exit.Inside().Tap(func(sent bool, pkt []byte) {
				if sent {
					out.note(pkt)
				}
			})
			var wg sync.WaitGroup
			quit := make(chan struct{})
			wg.Go(func() { // what arrives at the TUN
				for {
					select {
					case <-quit:
						return
					default:
						in.note(l.recv(100 * time.Millisecond))
					}
				}
			})
			defer func() { close(quit); wg.Wait() }()
			from := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 4001) }
			for _, stop := range []func(){
				flood(from(l.tunAddr(far)), netip.AddrPortFrom(far, 9), l.send),
				flood(from(l.tunAddr(near)), netip.AddrPortFrom(near, 9), l.send),
				flood(from(far), netip.AddrPortFrom(exitTunnel, 4001), func(pkts ...[]byte) { l.net.Host(far).Send(pkts) }),
			} {
				defer stop()
			}

			done := make(chan struct{})
			go func() {
				defer close(done)
				out.push(t, n, netip.AddrPortFrom(far, 9), l.send)
			}()
			in.push(t, n, netip.AddrPortFrom(exitTunnel, 4100), func(pkts ...[]byte) { l.net.Host(far).Send(pkts) })
			<-done
			for way, o := range map[string]*ordered{"out": &out, "in": &in} {
				if got := o.misplaced(); (got > 0) != tt.swaps {
					t.Errorf("%s: %d of %d packets came out of their order", way, got, n)
				}
			}
			if l.tun.Drops().Read == 0 && l.hop("entry").Drops["ring_full"]+l.hop("exit").Drops["ring_full"] == 0 {
				t.Error("detector: there was room all the time")
			}
			if got := l.hop("exit").In; got < 2*n {
				t.Errorf("detector: %d packets came in, of which %d are of the flow", got, in.count())
			}
		})
	}
}

// swapper returns a Divert that swaps one of a hundred packets with the next.
func swapper() func(pkt []byte) [][]byte {
	var mu sync.Mutex
	var count int
	var held []byte
	return func(pkt []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if count++; count%100 == 0 && held == nil {
			held = slices.Clone(pkt)
			return nil
		}
		out := [][]byte{pkt}
		if held != nil {
			out = append(out, held)
			held = nil
		}
		return out
	}
}
