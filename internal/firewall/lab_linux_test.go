package firewall

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

const (
	testMark  = 0xcb1c
	otherMark = 0xcb1d // of another instance
)

// childEnv makes the test program one that applies the config of the world and
// waits to be killed.
const childEnv = "MULTIHOP_FIREWALL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(netlab.RunAlone(m))
	}
	f, err := Open()
	if err == nil {
		err = f.Apply((&world{}).config())
	}
	fmt.Println("applied:", err)
	select {}
}

// A side is what the world has of one family.
type side struct {
	name                               string
	lan, internet, excluded            netip.Addr // of isp
	endpoint                           netip.AddrPort
	resolver                           netip.Addr
	tunnel, beyond                     netip.Addr // of the client; reached by the TUN
	client, box                        netip.Addr
	lanNet, boxNet, beyondNet, notOurs string
}

// sides are the two families of the world.
func sides() []side {
	ip := netip.MustParseAddr
	return []side{
		{
			name: "IPv4", lan: ip("192.168.1.1"), internet: ip("203.0.113.7"), excluded: ip("203.0.113.200"),
			endpoint: netip.MustParseAddrPort("198.51.100.9:51820"), resolver: ip("198.51.100.53"),
			tunnel: ip("10.64.0.2"), beyond: ip("100.80.0.9"), client: ip("192.168.1.2"), box: ip("172.20.0.2"),
			lanNet: "192.168.1.0/24", boxNet: "172.20.0.0/24", beyondNet: "100.80.0.0/16", notOurs: "198.51.100.77",
		},
		{
			name: "IPv6", lan: ip("fd11::1"), internet: ip("2001:db8:7::7"), excluded: ip("2001:db8:8::8"),
			endpoint: netip.MustParseAddrPort("[2001:db8:9::9]:51820"), resolver: ip("2001:db8:9::53"),
			tunnel: ip("fd64::2"), beyond: ip("2001:db8:80::9"), client: ip("fd11::2"), box: ip("fd20::2"),
			lanNet: "fd11::/64", boxNet: "fd20::/64", beyondNet: "2001:db8:80::/48", notOurs: "2001:db8:9::77",
		},
	}
}

// otherEndpoint is that of another instance, whose resolver is at notOurs.
func (s side) otherEndpoint() netip.AddrPort { return netip.AddrPortFrom(s.internet, 4711) }

// A world is a client and what is around it:
//
//	box --- c0 client eth0 --- isp (the LAN's router, and the internet)
//	              mh0 -------- far (what is behind the tunnel)
//
// The client routes everything but beyond to isp: what stays off the wire does so
// because of the firewall. Its "TUN" is a wire as well.
type world struct {
	lab                   *netlab.Lab
	client, isp, far, box *netlab.Host
}

func newWorld(t *testing.T) *world {
	t.Helper()
	lab := netlab.New(t)
	w := &world{lab, lab.Host("client"), lab.Host("isp"), lab.Host("far"), lab.Host("box")}
	lab.Wire(w.client, "eth0", w.isp, "lan0")
	lab.Wire(w.client, "mh0", w.far, "tun0")
	lab.Wire(w.client, "c0", w.box, "eth0")
	w.client.Forward()
	for _, s := range sides() {
		bits := func(net string) string { return net[slices.Index([]byte(net), '/'):] }
		all := "0.0.0.0/0"
		boxRouter, host := "172.20.0.1", "/32"
		if s.client.Is6() {
			all, boxRouter, host = "::/0", "fd20::1", "/128"
		}
		w.client.Addr("eth0", s.client.String()+bits(s.lanNet))
		w.client.Addr("c0", boxRouter+bits(s.boxNet))
		w.client.Addr("mh0", s.tunnel.String()+host)
		w.isp.Addr("lan0", s.lan.String()+bits(s.lanNet))
		for _, a := range []netip.Addr{s.internet, s.excluded, s.endpoint.Addr(), s.resolver, netip.MustParseAddr(s.notOurs)} {
			w.isp.Addr("lo", a.String()+host)
		}
		w.far.Addr("tun0", s.beyond.String()+bits(s.beyondNet))
		w.box.Addr("eth0", s.box.String()+bits(s.boxNet))
		w.client.Onto("mh0", s.beyondNet)
		w.far.Onto("tun0", s.tunnel.String()+host)
		w.far.Via(s.tunnel.String(), s.boxNet)
		w.client.Via(s.lan.String(), all)
		w.isp.Via(s.client.String(), s.boxNet, s.tunnel.String()+host)
		w.box.Via(boxRouter, all)
	}
	return w
}

// config is the world's, with the LAN allowed.
func (w *world) config() Config {
	c := Config{Table: "multihop-mh0", TUN: "mh0", Mark: testMark, KillSwitch: true}
	for _, s := range sides() {
		c.Tunnel = append(c.Tunnel, s.tunnel)
		c.Endpoints = append(c.Endpoints, s.endpoint)
		c.Resolvers = append(c.Resolvers, s.resolver)
		c.Others = append(c.Others, Other{otherMark, []netip.AddrPort{s.otherEndpoint()}, []netip.Addr{netip.MustParseAddr(s.notOurs)}})
		c.LAN = append(c.LAN,
			LANPrefix{netip.MustParsePrefix(s.lanNet), "eth0"}, LANPrefix{netip.MustParsePrefix(s.boxNet), "c0"})
		c.Exclude = append(c.Exclude, netip.PrefixFrom(s.excluded, s.excluded.BitLen()-3).Masked())
	}
	return c
}

// open returns a Firewall of h, closed at the end.
func open(t *testing.T, h *netlab.Host) *Firewall {
	t.Helper()
	var f *Firewall
	err := h.Do(func() (err error) {
		f, err = Open()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func apply(t *testing.T, f *Firewall, c Config) {
	t.Helper()
	if err := f.Apply(c); err != nil {
		t.Fatal(err)
	}
}

// outgoing captures what leaves by an interface, but for what a kernel says to
// its neighbours.
func outgoing(t *testing.T, h *netlab.Host, dev string) *netlab.Capture {
	t.Helper()
	return h.Capture(t, dev, netlab.CaptureOptions{
		Match: func(p *netlab.Packet) bool { return p.Outgoing && !p.Neighbourly() },
	})
}

// marked makes sockets with a mark; 0: without.
func marked(mark int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, rc syscall.RawConn) (err error) {
		cerr := rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) })
		return errors.Join(cerr, err)
	}
}

// dial sends a SYN, or a datagram of 100 bytes, from h, with a mark.
func dial(h *netlab.Host, network string, to netip.AddrPort, mark int) error {
	return dialTimeout(h, network, to, mark, 100*time.Millisecond)
}

func dialTimeout(h *netlab.Host, network string, to netip.AddrPort, mark int, timeout time.Duration) error {
	if network[:3] == "udp" {
		timeout = 0 // there is nothing to wait for but a processor
	}
	return h.Do(func() error {
		d := net.Dialer{Timeout: timeout, Control: marked(mark)}
		c, err := d.Dial(network, to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(make([]byte, 100))
		return err
	})
}
