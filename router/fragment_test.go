package router

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/frag"
	"multihop/packet"
)

// TestFragmentsOutbound: a packet without DF that is larger than its hop's MTU
// goes in fragments, in order with its neighbours.
func TestFragmentsOutbound(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := netip.MustParseAddr("198.51.100.7")
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	reasm := frag.NewReassembler(nil)
	got := make(chan []byte, 10)
	l.net.Host(far).Tap(func(sent bool, pkt []byte) {
		var m packet.Meta
		if sent || m.Parse(pkt) != packet.OK || m.Dst != far {
			return
		}
		if m.IsFragment() {
			if m.Len > 1360 {
				t.Errorf("a fragment of %d bytes", m.Len)
			}
			whole, v := reasm.Add(pkt, &m, int64(time.Second))
			if v != frag.Whole {
				return
			}
			pkt = whole
		}
		got <- append([]byte(nil), pkt...)
	})
	for _, n := range []int{1332, 1333, 1400, 3000, 20000, 60000} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		b := make([]byte, 28+n)
		copy(b[28:], payload)
		packet.PutUDP(b, netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(far, 9), n, false)
		l.send(b)
		select {
		case pkt := <-got:
			var m packet.Meta
			m.Parse(pkt)
			p, ok := packet.UDPPayload(pkt, &m)
			if !ok || string(p) != string(payload) || m.Src != exitTunnel {
				t.Fatalf("%d bytes: arrived %d from %v", n, len(p), m.Src)
			}
			if sum := packet.Fold(packet.Sum(pkt[m.L4:m.Len], packet.Sum(pkt[12:20], uint32(packet.ProtoUDP+m.Len-m.L4)))); sum != 0xffff {
				t.Fatalf("%d bytes: checksum of the whole is wrong: %#x", n, sum)
			}
		case <-time.After(3 * time.Second):
			t.Fatalf("%d bytes: lost; drops %v", n, l.hop("exit").Drops)
		}
	}
}

// TestLinkReassembles: the exit's datagrams reach its link in fragments, in any
// order, both families of endpoints.
func TestLinkReassembles(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			l := newLab(t, nil)
			l.start()
			far := netip.MustParseAddr("198.51.100.7")
			if _, ok := l.exchange(far, 10*time.Second); !ok {
				t.Fatal("no path")
			}
			// The entry's inside is where the exit's datagrams pass: from now on
			// they are cut there. The net routes the client's entry address to the
			// entry; a host in front of it takes that route over.
			l.cutInFront(t, order)
			for n := range 20 {
				if src, ok := l.exchange(far, 3*time.Second); !ok || src != exitTunnel {
					t.Fatalf("exchange %d: the host saw %v (%v); drops %v", n, src, ok, l.hop("entry").Drops)
				}
			}
			if n := l.r.table.Load().hop("entry").pieces.Load().Stats(); n.Wholes < 20 {
				t.Fatalf("the test shows nothing: %+v", n)
			}
		})
	}
}

// cutInFront makes what the exit sends to the client's link arrive in three
// fragments, in that order.
func (l *lab) cutInFront(t *testing.T, order []int) {
	t.Helper()
	id := uint16(0)
	l.exit.Outside().Divert(func(pkt []byte) [][]byte {
		var m packet.Meta
		if m.Parse(pkt) != packet.OK || m.Dst != entryTunnel || m.Len < 60 {
			return [][]byte{pkt}
		}
		id++
		b := append([]byte(nil), pkt...)
		b[6] &^= 0x40 // DF
		binary.BigEndian.PutUint16(b[4:], id)
		if m.Parse(b) != packet.OK {
			t.Error("not a packet")
		}
		size := (20 + (m.Len-20)/3 + 8) &^ 7
		pieces := make([][]byte, 4)
		for i := range pieces {
			pieces[i] = make([]byte, 1500)
		}
		n, ok := frag.Split4(pieces, b, &m, size+4)
		if !ok || n != 3 {
			return [][]byte{pkt}
		}
		var out [][]byte
		for _, i := range order {
			out = append(out, pieces[i])
		}
		return out
	})
}
