package router

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.zx2c4.com/wireguard/device"

	"multihop/internal/frag"
	"multihop/packet"
)

// TestHandshakePieces: a handshake that its carrier is too narrow for enters the
// control lane in fragments that fit, and are the datagram when put together.
func TestHandshakePieces(t *testing.T) {
	for _, tt := range []struct {
		name   string
		to     string
		mtu    int
		pieces int // 0: whole
	}{
		{"IPv4, it just fits", "192.0.2.20:51820", 176, 0},
		{"IPv4, a byte too many", "192.0.2.20:51820", 175, 2},
		{"IPv4, the least MTU of a carrier", "192.0.2.20:51820", 128, 2},
		{"IPv4, the least MTU", "192.0.2.20:51820", 68, 4},
		{"IPv6, it just fits", "[2001:db8::20]:51820", 196, 0},
		{"IPv6, a byte too many", "[2001:db8::20]:51820", 195, 2},
		{"IPv6, the least MTU of a carrier", "[2001:db8::20]:51820", 148, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := twoPeers(t, New(nil))
			defer func() { must(t, p.Close()) }()
			p.hop.addr6 = entryTunnel6
			p.hop.mtuNow.Store(int32(tt.mtu))
			s := &socket{hop: p.hop, port: 20000, stop: make(chan struct{})}
			to := netip.MustParseAddrPort(tt.to)
			initiation := make([]byte, device.MessageInitiationSize)
			for i := range initiation {
				initiation[i] = byte(i)
			}
			if why := s.sendControl(initiation, to); why != delivered {
				t.Fatalf("dropped: %v", why)
			}
			v := p.in.Peek(10)
			defer v.Release(v.N)
			if v.N != max(tt.pieces, 1) {
				t.Fatalf("%d packets, want %d", v.N, tt.pieces)
			}
			reasm := frag.NewReassembler(nil)
			for i := range v.N {
				pkt := bytes.Clone(v.Slot(i).Packet)
				var m packet.Meta
				if m.Parse(pkt) != packet.OK || len(pkt) > tt.mtu || m.Dst != to.Addr() || v.Slot(i).Meta.from != s {
					t.Fatalf("packet %d, of %d bytes: % x", i, len(pkt), pkt)
				}
				if tt.pieces > 0 {
					whole, what := reasm.Add(pkt, &m, 1)
					if i < v.N-1 {
						continue
					}
					if what != frag.Whole || m.Parse(whole) != packet.OK {
						t.Fatalf("put together: verdict %v", what)
					}
					pkt = whole
				}
				payload, ok := packet.UDPPayload(pkt, &m)
				if !ok || !bytes.Equal(payload, initiation) || m.SrcPort != s.port || m.DstPort != to.Port() {
					t.Errorf("the datagram is % x", pkt)
				}
			}
		})
	}
}
