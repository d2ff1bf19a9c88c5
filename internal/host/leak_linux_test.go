package host

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// leaks sends UDP to addresses of the internet, of both families, until the test
// ends, and returns how many packets the uplink has carried since the last call.
func leaks(t *testing.T) func() int32 {
	t.Helper()
	index := link(t, "eth0").Attrs().Index
	for _, gw := range []string{"192.0.2.1", "2001:db8::1"} { // nobody is there to answer
		must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: index, IP: netip.MustParseAddr(gw).AsSlice(),
			State: netlink.NUD_PERMANENT, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	tap, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	must(t, err)
	must(t, unix.Bind(tap, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link(t, "peer0").Attrs().Index}))
	must(t, unix.SetsockoptTimeval(tap, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	senders := make([]int, 2)
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		senders[i], err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
	}
	to := []unix.Sockaddr{
		&unix.SockaddrInet4{Port: 4711, Addr: [4]byte{9, 9, 9, 9}},
		&unix.SockaddrInet6{Port: 4711, Addr: netip.MustParseAddr("2620:fe::fe").As16()},
	}
	var seen atomic.Int32
	stop, done := make(chan struct{}), make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			for i, fd := range senders {
				_ = unix.Sendto(fd, []byte("in clear"), 0, to[i]) // an error is right
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		b := make([]byte, 2048)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, _, err := unix.Recvfrom(tap, b, 0)
			udp := err == nil && n > 40 && (b[0]>>4 == 4 && b[9] == unix.IPPROTO_UDP || b[0]>>4 == 6 && b[6] == unix.IPPROTO_UDP)
			if udp {
				seen.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		<-done
		for _, fd := range append(senders, tap) {
			_ = unix.Close(fd)
		}
	})
	return func() int32 {
		time.Sleep(150 * time.Millisecond) // what is on its way arrives
		return seen.Swap(0)
	}
}

// From Apply to the end nothing leaves, neither while the configuration changes
// nor when the process is killed and another takes over; with and without a kill
// switch.
func TestNothingLeaves(t *testing.T) {
	for _, kill := range []Choice{On, Off} {
		newHost(t)
		sent := leaks(t)
		h := openHost(t, t.TempDir())
		c := fullConfig()
		c.KillSwitch = kill
		if sent() == 0 {
			t.Fatal("detector: nothing seen before")
		}
		apply(t, h, c)
		sent() // those before the rules
		want := func(phase string) {
			t.Helper()
			if n := sent(); n != 0 {
				t.Errorf("kill switch %v, %s: %d packets left", kill, phase, n)
			}
		}
		want("up")
		for i := range 20 {
			c.Routes[0].MTU = 1300 + i
			c.Exclude = parse("203.0.113.0/24")[:i%2]
			apply(t, h, c)
		}
		want("reload")
		run(t, "ip route add 9.9.9.0/24 via 192.0.2.1; ip route add 0.0.0.0/1 via 192.0.2.1; ip route add 9.9.9.9 via 192.0.2.1")
		want("routes injected into main")
		die(t, h)
		want("killed")
		addTUN(t, "mh0")
		next := openHost(t, h.k.dir)
		apply(t, next, c)
		want("taken over")
		must(t, next.Close())
		if sent() == 0 {
			t.Error("detector: nothing seen afterwards")
		}
	}
}
