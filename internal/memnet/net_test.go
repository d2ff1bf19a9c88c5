package memnet

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/packet"
)

// udp returns a UDP packet with n bytes of payload.
func udp(src, dst string, n int) []byte {
	to := netip.MustParseAddrPort(dst)
	b := make([]byte, packet.UDPOverhead(to.Addr())+n)
	packet.PutUDP(b, netip.MustParseAddrPort(src), to, n, true)
	return b
}

func TestNetRoutesLongestPrefix(t *testing.T) {
	n := New()
	got := make(map[string]int)
	attach := func(name string, prefixes ...string) *Host {
		t.Helper()
		var ps []netip.Prefix
		for _, p := range prefixes {
			ps = append(ps, netip.MustParsePrefix(p))
		}
		h, err := n.Attach(name, func(pkts [][]byte) int { got[name] += len(pkts); return len(pkts) }, ps...)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	attach("wide", "10.0.0.0/8", "2001:db8::/32")
	attach("narrow", "10.1.0.0/16", "2001:db8:1::/48")
	from := attach("from", "192.0.2.1/32")

	const me = "192.0.2.1:1"
	from.Send([][]byte{
		udp(me, "10.2.0.1:1", 0),
		udp(me, "10.1.0.1:1", 0),
		udp(me, "10.1.0.2:1", 0),
		udp(me, "10.2.0.1:1", 0),
		udp("[::1]:1", "[2001:db8::1]:1", 0),
		udp("[::1]:1", "[2001:db8:1::1]:1", 0),
		udp(me, me, 0),                            // to itself
		udp(me, "172.16.0.1:1", 0),                // nobody's
		udp(me, "10.1.0.1:1", MTU-28),             // exactly fits
		udp(me, "10.1.0.1:1", MTU-28+1),           // does not
		{0x45, 0, 0},                              // no packet
		append([]byte{0x60}, make([]byte, 38)...), // no packet either
	})
	want := map[string]int{"wide": 3, "narrow": 4, "from": 1}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s got %d packets, want %d", name, got[name], w)
		}
	}
	if n.Lost() != 4 {
		t.Errorf("%d lost, want 4", n.Lost())
	}
	if c := from.Counters(); c != (Counters{Sent: 12, Received: 1}) {
		t.Errorf("counters %+v", c)
	}
	if n.Host(addr("10.1.2.3")).Name() != "narrow" || n.Host(addr("8.8.8.8")) != nil {
		t.Error("Host names the wrong one")
	}
	if _, err := n.Attach("thief", nil, netip.MustParsePrefix("10.1.2.3/16")); err == nil || !strings.Contains(err.Error(), "narrow") {
		t.Errorf("a prefix given twice: %v", err)
	}
}

func TestHostTap(t *testing.T) {
	n := New()
	a, err := n.Attach("a", func([][]byte) int { return 0 }, netip.MustParsePrefix("10.0.0.1/32"))
	if err != nil {
		t.Fatal(err)
	}
	sent, received := 0, 0
	a.Tap(func(out bool, _ []byte) {
		if out {
			sent++
		} else {
			received++
		}
	})
	a.Send([][]byte{udp("10.0.0.1:1", "10.0.0.1:2", 5), udp("10.0.0.1:1", "10.0.0.2:2", 5)})
	if sent != 2 || received != 1 {
		t.Fatalf("tapped %d sent and %d received", sent, received)
	}
	a.Tap(nil)
	a.Send([][]byte{udp("10.0.0.1:1", "10.0.0.1:2", 5)})
	if sent != 2 || a.Counters() != (Counters{Sent: 3, Received: 2, Dropped: 2}) {
		t.Fatalf("%d, %+v", sent, a.Counters())
	}
}

func TestBind(t *testing.T) {
	ours(t)
	n := New()
	a := n.Bind(addr("10.0.0.1"), addr("fd00::1"))
	b := n.Bind(addr("10.0.0.2"), addr("fd00::2"))
	if err := a.Send(nil, &endpoint{}); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Send before Open: %v", err)
	}
	_, port, err := a.Open(0)
	if err != nil || port == 0 {
		t.Fatal(port, err)
	}
	if _, _, err := a.Open(0); !errors.Is(err, conn.ErrBindAlreadyOpen) {
		t.Fatalf("second Open: %v", err)
	}
	if _, _, err := n.Bind(addr("10.0.0.1"), addr("fd00::1")).Open(port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("a port in use: %v", err)
	}
	if _, _, err := n.Bind(addr("10.0.0.1")).Open(0); err == nil {
		t.Fatal("half of a host's addresses accepted")
	}
	if _, _, err := n.Bind().Open(0); err == nil {
		t.Fatal("no address accepted")
	}
	for _, to := range []string{"10.0.0.2:51820", "[fd00::2]:51820", "[::ffff:10.0.0.2]:51820"} {
		fns, _, err := b.Open(51820)
		if err != nil {
			t.Fatal(err)
		}
		ep, err := a.ParseEndpoint(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Send([][]byte{[]byte("one"), []byte("three")}, ep); err != nil {
			t.Fatal(err)
		}
		bufs, sizes, eps := [][]byte{make([]byte, 2000), make([]byte, 2000), nil}, make([]int, 3), make([]conn.Endpoint, 3)
		got, err := fns[0](bufs[:2], sizes, eps)
		if err != nil || got != 2 || string(bufs[0][:sizes[0]]) != "one" || string(bufs[1][:sizes[1]]) != "three" {
			t.Fatalf("%d, %v, %q, %q", got, err, bufs[0][:sizes[0]], bufs[1][:sizes[1]])
		}
		if from, _ := netip.ParseAddrPort(eps[0].DstToString()); from.Port() != port || from.Addr().Is4() != ep.DstIP().Is4() {
			t.Fatalf("from %v", from)
		}

		done := make(chan error)
		go func() { _, err := fns[0](bufs[:2], sizes, eps); done <- err }()
		for range 2 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("receive after Close: %v", err)
		}
		if err := b.Send([][]byte{{1}}, ep); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Send after Close: %v", err)
		}
	}
	four := n.Bind(addr("10.0.0.4"))
	if _, _, err := four.Open(1); err != nil {
		t.Fatal(err)
	}
	ep, _ := four.ParseEndpoint("[fd00::2]:1")
	if err := four.Send([][]byte{{1}}, ep); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Fatalf("to the other family: %v", err)
	}
	_ = a.Close()
	_ = four.Close()
}

// TestBindTakesWhatAKernelTakes: wrong checksums, fragments and other protocols
// reach no socket.
func TestBindTakesWhatAKernelTakes(t *testing.T) {
	const from, to = "10.0.0.1:1", "10.0.0.2:51820"
	const from6, to6 = "[fd00::1]:1", "[fd00::2]:51820"
	tests := []struct {
		name  string
		pkt   []byte
		spoil func(pkt []byte)
		taken bool
	}{
		{"IPv4", udp(from, to, 9), nil, true},
		{"IPv6", udp(from6, to6, 9), nil, true},
		{"no checksum on IPv4", udp(from, to, 9), func(p []byte) { p[26], p[27] = 0, 0 }, true},
		{"no checksum on IPv6", udp(from6, to6, 9), func(p []byte) { p[46], p[47] = 0, 0 }, false},
		{"payload", udp(from, to, 9), func(p []byte) { p[30] ^= 1 }, false},
		{"payload, IPv6", udp(from6, to6, 9), func(p []byte) { p[50] ^= 1 }, false},
		{"IPv4 header", udp(from, to, 9), func(p []byte) { p[8]-- }, false},
		{"bytes behind the datagram", behind(udp(from, to, 9), 3), nil, true},
		{"closed port", udp(from, "10.0.0.2:51821", 9), nil, false},
		{"truncated", udp(from, to, 9)[:30], nil, false},
		{"port 0", udp(from, "10.0.0.2:0", 9), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := New()
			b := n.Bind(addr("10.0.0.2"), addr("fd00::2"))
			if _, _, err := b.Open(51820); err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if tt.spoil != nil {
				tt.spoil(tt.pkt)
			}
			n.route([][]byte{tt.pkt})
			if c := n.Host(addr("10.0.0.2")).Counters(); (c.Dropped == 0) != tt.taken || c.Received != 1 {
				t.Fatalf("counters %+v, want taken %v", c, tt.taken)
			}
		})
	}
}

// behind adds n bytes to an IPv4 packet that are no part of its datagram.
func behind(pkt []byte, n int) []byte {
	pkt = append(pkt, make([]byte, n)...)
	pkt[3] += byte(n)
	pkt[10], pkt[11] = 0, 0
	sum := ^packet.Fold(packet.Sum(pkt[:20], 0))
	pkt[10], pkt[11] = byte(sum>>8), byte(sum)
	return pkt
}

// FuzzNet: no packet is too strange for the switch and a bind.
func FuzzNet(f *testing.F) {
	f.Add(udp("10.0.0.1:1", "10.0.0.2:51820", 9))
	f.Add(udp("[fd00::1]:1", "[fd00::2]:51820", 9))
	f.Add(behind(udp("10.0.0.1:1", "10.0.0.2:51820", 9), 3))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		n := New()
		b := n.Bind(addr("10.0.0.2"), addr("fd00::2"))
		fns, _, err := b.Open(51820)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		n.route([][]byte{pkt})
		host := n.Host(addr("10.0.0.2"))
		c := host.Counters()
		if n.Lost()+c.Received != 1 {
			t.Fatalf("lost %d, %+v", n.Lost(), c)
		}
		if c.Received > c.Dropped {
			bufs, sizes, eps := [][]byte{make([]byte, 65535)}, make([]int, 1), make([]conn.Endpoint, 1)
			if got, err := fns[0](bufs, sizes, eps); got != 1 || err != nil || sizes[0] > len(pkt)-28 {
				t.Fatalf("%d, %v, %d bytes", got, err, sizes[0])
			}
		}
	})
}
