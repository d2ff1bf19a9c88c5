package flood_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// TestSuperPackets sends what a neighbour on the same machine can: super-packets
// of more datagrams than any card merges, and than wireguard-go takes at once.
// They cost nobody else anything.
func TestSuperPackets(t *testing.T) {
	const (
		segments = 128 // Linux's UDP_MAX_SEGMENTS
		segment  = 64  // bytes
		count    = 500
	)
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	i := n.Run(t, twoHopChain(r))
	answers(t, n, patience, near(), far())

	to := netip.AddrPortFrom(e2e.ClientAddr().V4, status(t, i).Hops[0].ListenPort)
	var c *net.UDPConn
	err := n.Other.Do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, segment)
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	// The detector: they arrive whole.
	big := n.Client.Capture(t, "eth0", netlab.CaptureOptions{Match: func(p *netlab.Packet) bool {
		return p.Dst == to && p.Len > segments*segment
	}})
	for range count {
		if _, err := c.Write(make([]byte, segments*segment)); err != nil {
			t.Fatalf("the hop's port is closed: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	if got := big.Count(); got < count {
		t.Errorf("%d of %d super-packets arrived whole", got, count)
	}
	answers(t, n, recovery, near(), far())
	for _, h := range status(t, i).Hops {
		if h.Down {
			t.Errorf("%s is down", h.Name)
		}
	}
}
