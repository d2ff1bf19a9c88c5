package flood_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/e2e"
)

func TestZZ(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	i := n.Run(t, twoHopChain(r))
	answers(t, n, time.Now().Add(patience), near(), far())
	to := netip.AddrPortFrom(e2e.ClientAddr().V4, status(t, i).Hops[0].ListenPort)
	var c *net.UDPConn
	n.Other.Do(func() error {
		c, _ = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return nil
	})
	rc, _ := c.SyscallConn()
	rc.Control(func(fd uintptr) {
		t.Log(unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 64))
	})
	b := make([]byte, 128*64)
	start := time.Now()
	for time.Since(start) < 5*time.Second {
		if _, err := c.Write(b); err != nil {
			t.Log(err)
			break
		}
		time.Sleep(time.Millisecond)
	}
	s := status(t, i)
	t.Log(s.Hops[0])
	time.Sleep(200 * time.Millisecond)
	answers(t, n, time.Now().Add(patience), near(), far())
	t.Fail()
}
