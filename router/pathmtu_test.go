package router

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"multihop/packet"
)

// fragNeeded returns an ICMP "fragmentation needed" that quotes a datagram.
func fragNeeded(src, dst netip.AddrPort, mtu int) []byte {
	b := icmpError(netip.MustParseAddr("172.16.0.1"), src, dst)
	b[21] = 4
	binary.BigEndian.PutUint16(b[26:], uint16(mtu))
	b[22], b[23] = 0, 0
	binary.BigEndian.PutUint16(b[22:], ^packet.Fold(packet.Sum(b[20:], 0)))
	return b
}

// TestPathMTU: an error about a link's datagram lowers that hop's MTU, and what
// it carries, for a while; and nobody else's.
func TestPathMTU(t *testing.T) {
	l := newLab(t, nil)
	inner := l.cfg.Hops[2] // sibling: carried by the exit here
	inner.Via = "exit"
	l.cfg.Hops[2] = inner
	l.start()
	far := netip.MustParseAddr("198.51.100.7")
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	link := netip.AddrPortFrom(entryTunnel, l.hop("exit").ListenPort)
	exit := netip.AddrPortFrom(exitAddr, 51820)
	mtus := func() [3]int { return [3]int{l.hop("entry").MTU, l.hop("exit").MTU, l.hop("sibling").MTU} }
	if got := mtus(); got != [3]int{1420, 1360, 1300} {
		t.Fatalf("MTUs %v", got)
	}
	for _, tt := range []struct {
		name     string
		src, dst netip.AddrPort
		mtu      int
		want     [3]int
	}{
		{"about a port that is no link's", netip.AddrPortFrom(entryTunnel, 9), exit, 1000, [3]int{1420, 1360, 1300}},
		{"about a datagram to a stranger", link, netip.AddrPortFrom(siblingAddr, 51820), 1000, [3]int{1420, 1360, 1300}},
		{"larger than it is", link, exit, 1500, [3]int{1420, 1360, 1300}},
		{"lower", link, exit, 1300, [3]int{1420, 1240, 1180}},
		{"never raised", link, exit, 1400, [3]int{1420, 1240, 1180}},
		{"floored", link, exit, 68, [3]int{1420, 516, 456}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.entry.Inject(fragNeeded(tt.src, tt.dst, tt.mtu))
			if tt.want != mtus() {
				eventually(t, 3*time.Second, "learned", func() bool { return mtus() == tt.want })
			}
			time.Sleep(50 * time.Millisecond)
			if got := mtus(); got != tt.want {
				t.Fatalf("MTUs %v, want %v", got, tt.want)
			}
		})
	}
	big := udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(far, 7), make([]byte, 516-27))
	l.send(big)
	var m packet.Meta
	pkt := l.recv(2 * time.Second)
	if pkt == nil || m.Parse(pkt) != packet.OK || m.Src != far {
		t.Fatalf("answer % x", pkt)
	}
	if mtu, ok := packet.PathMTU(pkt, &m); !ok || mtu != 516 {
		t.Fatalf("the program was told %d (%v), want 516", mtu, ok)
	}
	if src, ok := l.exchange(far, 5*time.Second); !ok || src != exitTunnel {
		t.Fatalf("small packets: the host saw %v (%v)", src, ok)
	}

	h := l.r.table.Load().hop("exit")
	h.mu.Lock()
	h.pathEnds = time.Now().Add(-time.Second)
	h.mu.Unlock()
	eventually(t, 3*time.Second, "forgotten", func() bool { return mtus() == [3]int{1420, 1360, 1300} })
}
