package host

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A sender sends UDP, and sees what leaves by the uplink.
type sender struct{ tap, n int }

func newSender(t *testing.T) *sender {
	t.Helper()
	for _, gw := range []string{"192.0.2.1", "192.0.2.53", "2001:db8::1"} { // nobody is there to answer
		must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: link(t, "eth0").Attrs().Index, IP: netip.MustParseAddr(gw).AsSlice(),
			State: netlink.NUD_PERMANENT, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	tap, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(tap) })
	must(t, unix.Bind(tap, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link(t, "peer0").Attrs().Index}))
	must(t, unix.SetsockoptTimeval(tap, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}))
	return &sender{tap: tap}
}

// send sends a datagram with a mark, and reports whether it left by the uplink,
// and whether a firewall refused it.
func (s *sender) send(t *testing.T, to netip.AddrPort, mark uint32) (left, refused bool) {
	t.Helper()
	s.n++
	payload := fmt.Appendf(nil, "datagram %d;", s.n)
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer func() { _ = unix.Close(fd) }()
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)))
	refused = errors.Is(unix.Sendto(fd, payload, 0, sa), unix.EPERM)
	b := make([]byte, 2048)
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		if n, _, err := unix.Recvfrom(s.tap, b, 0); err == nil && bytes.Contains(b[:n], payload) {
			return true, refused
		} else if err != nil && refused {
			break
		}
	}
	return false, refused
}

// killSplit is splitConfig with a kill switch and hops of its own.
func killSplit(name, endpoint, resolver string) Config {
	c := splitConfig()
	c.Name, c.KillSwitch = name, On
	c.Endpoints = []netip.AddrPort{netip.MustParseAddrPort(endpoint)}
	c.Resolvers = []netip.Addr{netip.MustParseAddr(resolver)}
	return c
}

// Two instances with a kill switch: what is sent by either leaves, by the uplink
// or in the other's TUN, and nothing else does.
func TestTwoKillSwitches(t *testing.T) {
	split := func() Config {
		c := killSplit("mh1", "[2001:db8:9::9]:51821", "198.51.100.54")
		c.Addrs = second(c).Addrs
		c.Routes = config("10.40.0.0/16").Routes
		return c
	}
	other := func() Config {
		c := second(fullConfig())
		c.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.9:51821")}
		c.Resolvers = []netip.Addr{netip.MustParseAddr("198.51.100.54")}
		return c
	}
	tests := []struct {
		name   string
		a, b   Config
		inside bool // b's own datagrams enter a's TUN
	}{
		{"both the default", fullConfig(), other(), true},
		{"default and prefixes", fullConfig(), split(), true},
		{"both prefixes", killSplit("mh0", "198.51.100.7:51820", "192.0.2.53"), split(), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newHost(t)
			addTUN(t, "mh1")
			dir := t.TempDir()
			a, b := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
			s := newSender(t)
			forbidden := netip.MustParseAddrPort("9.9.9.9:4711")
			if left, _ := s.send(t, forbidden, 0); !left {
				t.Fatal("detector: nothing is seen to leave")
			}
			apply(t, a, tt.a)
			apply(t, b, tt.b)
			a.follow()
			for _, i := range []struct {
				h      *Host
				c      Config
				inside bool
			}{{a, tt.a, false}, {b, tt.b, tt.inside}} {
				mark := i.h.Status().Mark
				for _, to := range append(i.c.Endpoints, netip.AddrPortFrom(i.c.Resolvers[0], 53)) {
					if left, refused := s.send(t, to, mark); left == i.inside || refused {
						t.Errorf("%s: its own to %s: left by the uplink %v, refused %v", i.c.Name, to, left, refused)
					}
					stray := netip.AddrPortFrom(to.Addr(), to.Port()+1)
					if left, _ := s.send(t, stray, mark); left {
						t.Errorf("%s: %s left, which is no endpoint", i.c.Name, stray)
					}
					for _, m := range []uint32{0, mark + 7} {
						if left, _ := s.send(t, to, m); left {
							t.Errorf("%s: left for %s with mark %d", i.c.Name, to, m)
						}
					}
				}
				if left, _ := s.send(t, forbidden, mark); left {
					t.Errorf("%s: left with its mark for no endpoint", i.c.Name)
				}
			}
			if left, _ := s.send(t, forbidden, 0); left {
				t.Error("left in clear")
			}
		})
	}
}

// A kill switch follows the other instance's own datagrams: from Choose on, to
// where it roams, with another mark, and to its end.
func TestWatchFollowsOthers(t *testing.T) {
	newHost(t)
	addTUN(t, "mh1")
	dir := t.TempDir()
	a, b := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
	s := newSender(t)
	apply(t, a, killSplit("mh0", "198.51.100.7:51820", "192.0.2.53"))
	watch(t, a)
	time.Sleep(2 * time.Second) // of the beginning nothing is left to do
	c := splitConfig()
	c.Name, c.Routes, c.Addrs, c.Mark = "mh1", config("10.40.0.0/16").Routes, second(c).Addrs, 77
	c.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.9:51821")}
	c.Resolvers = []netip.Addr{netip.MustParseAddr("198.51.100.54")}
	resolver, roamed := netip.MustParseAddrPort("198.51.100.54:53"), netip.MustParseAddrPort("[2001:db8:9::9]:4711")
	want := func(when string, to netip.AddrPort, mark uint32, want bool) {
		t.Helper()
		left := !want
		for end := time.Now().Add(2 * time.Second); left != want && time.Now().Before(end); {
			left, _ = s.send(t, to, mark)
		}
		if left != want {
			t.Errorf("%s: a datagram to %s with mark %d: left %v", when, to, mark, left)
		}
	}
	want("before", resolver, 77, false)
	must(t, b.Choose(&c))
	want("chosen", resolver, 77, true)
	apply(t, b, c)
	want("up", c.Endpoints[0], 77, true)
	want("up", roamed, 77, false)
	must(t, b.SetEndpoints([]netip.AddrPort{roamed}))
	want("roamed", roamed, 77, true)
	c.Mark = 78
	apply(t, b, c)
	want("another mark", c.Endpoints[0], 78, true)
	want("another mark", c.Endpoints[0], 77, false)
	must(t, b.Close())
	want("ended", c.Endpoints[0], 78, false)
}
