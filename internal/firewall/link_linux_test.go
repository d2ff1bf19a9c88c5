package firewall

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// TestLink checks that neighbour discovery, listener reports and DHCPv6 work with
// the LAN denied, and that nothing else can pass for them.
func TestLink(t *testing.T) {
	s := sides()[1]
	w := newWorld(t)
	f := open(t, w.client)
	wire := outgoing(t, w.client, "eth0")
	kernel := func(dev string, kind uint8) *netlab.Capture {
		return w.client.Capture(t, dev, netlab.CaptureOptions{
			Match: func(p *netlab.Packet) bool {
				return p.Outgoing && p.EtherType == netlab.EtherIPv6 && p.ICMPType == kind
			},
		})
	}
	asks, answers, reports := kernel("eth0", 135), kernel("c0", 136), kernel("eth0", 143)
	c := w.config()
	c.LAN, c.Exclude = nil, nil
	apply(t, f, c)

	// By the kernel.
	if err := dial(w.client, "udp", s.endpoint, testMark); err != nil || !wire.Wait(1, 3*time.Second) {
		t.Errorf("no neighbour is found: %v", err)
	}
	if err := dial(w.box, "udp", netip.MustParseAddrPort("[fd20::1]:9"), 0); err != nil {
		t.Error(err)
	}
	reports.Reset()
	if err := w.client.Do(func() error { // joins a group, and leaves it
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		g, err := net.ListenMulticastUDP("udp6", dev, &net.UDPAddr{IP: net.ParseIP("ff02::4d48"), Port: 4848})
		if err != nil {
			return err
		}
		return g.Close()
	}); err != nil {
		t.Error(err)
	}
	for name, seen := range map[string]*netlab.Capture{"solicitation": asks, "advertisement": answers, "listener report": reports} {
		if !seen.Wait(1, 3*time.Second) {
			t.Errorf("no %s leaves", name)
		}
	}

	// By hand.
	mine := []byte("a packet of TestLink")
	forged := w.client.Capture(t, "eth0", netlab.CaptureOptions{
		Match: func(p *netlab.Packet) bool { return p.Outgoing && bytes.Contains(p.Data, mine) },
	})
	all, linkLocal := netip.MustParseAddr("ff02::1:2"), linkLocalOf(t, w.client, "eth0")
	for _, test := range []struct {
		name     string
		src, dst netip.Addr
		hops     uint8
		proto    uint8
		head     []byte // of ICMPv6 or UDP
		want     bool
	}{
		{"solicitation", s.client, s.lan, 255, 58, []byte{135, 0, 0, 0, 0, 0, 0, 0}, true},
		{"solicitation, forwardable", s.client, s.lan, 254, 58, []byte{135, 0, 0, 0, 0, 0, 0, 0}, false},
		{"echo request", s.client, s.lan, 255, 58, []byte{128, 0, 0, 0, 0, 0, 0, 0}, false},
		{"node information", s.client, s.lan, 255, 58, []byte{139, 0, 0, 0, 0, 0, 0, 0}, false},
		{"report", linkLocal, netip.MustParseAddr("ff02::16"), 1, 58, []byte{143, 0, 0, 0, 0, 0, 0, 0}, true},
		{"report, first version", linkLocal, netip.MustParseAddr("ff02::16"), 1, 58, []byte{131, 0, 0, 0, 0, 0, 0, 0}, true},
		{"report, forwardable", linkLocal, netip.MustParseAddr("ff02::16"), 2, 58, []byte{143, 0, 0, 0, 0, 0, 0, 0}, false},
		{"report to one host", s.client, s.internet, 1, 58, []byte{143, 0, 0, 0, 0, 0, 0, 0}, false},
		{"DHCPv6", linkLocal, all, 64, 17, udpHead(546, 547, len(mine)), true},
		{"DHCPv6, global source", s.client, all, 64, 17, udpHead(546, 547, len(mine)), false},
		{"DHCPv6, other port", linkLocal, all, 64, 17, udpHead(547, 547, len(mine)), false},
		{"DHCPv6, one server", linkLocal, s.internet, 64, 17, udpHead(546, 547, len(mine)), false},
		{"DHCPv6, other group", linkLocal, netip.MustParseAddr("ff05::1:3"), 64, 17, udpHead(546, 547, len(mine)), false},
	} {
		forged.Reset()
		payload := append(test.head, mine...)
		packet := append([]byte{0x60, 0, 0, 0, 0, byte(len(payload)), test.proto, test.hops}, test.src.AsSlice()...)
		packet = append(append(packet, test.dst.AsSlice()...), payload...)
		err := sendBy(w.client, "eth0", packet)
		got := forged.Count() != 0
		if test.want {
			got = forged.Wait(1, time.Second)
		}
		if got != test.want {
			t.Errorf("%s: leaves: %v, want %v (%v)", test.name, got, test.want, err)
		}
	}
}

func udpHead(src, dst uint16, size int) []byte {
	return []byte{byte(src >> 8), byte(src), byte(dst >> 8), byte(dst), 0, byte(8 + size), 0, 0}
}

// linkLocalOf returns the link-local address that the kernel gave an interface.
func linkLocalOf(t *testing.T, h *netlab.Host, dev string) netip.Addr {
	t.Helper()
	var found netip.Addr
	err := h.Do(func() error {
		i, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		addrs, err := i.Addrs()
		for _, a := range addrs {
			if p, perr := netip.ParsePrefix(a.String()); perr == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				found = p.Addr()
			}
		}
		return err
	})
	if err != nil || !found.IsValid() {
		t.Fatalf("no link-local address on %s: %v", dev, err)
	}
	return found
}

// sendBy sends a whole IPv6 packet by an interface.
func sendBy(h *netlab.Host, dev string, packet []byte) error {
	return h.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, dev); err != nil {
			return err
		}
		return unix.Sendto(fd, packet, 0, &unix.SockaddrInet6{Addr: [16]byte(packet[24:40])})
	})
}
