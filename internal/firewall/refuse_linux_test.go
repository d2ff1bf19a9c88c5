package firewall

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// TestRefused checks that a program learns at once that it may not send, and
// that nobody else learns of it.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	wire := outgoing(t, w.client, "eth0")
	apply(t, f, w.config())
	for _, s := range sides() {
		// Without an answer both would be a timeout. Linux takes the ICMPv6 error in
		// for a connection only when it has sent its SYN again, after a second.
		for network, want := range map[string]error{"tcp4": unix.EHOSTUNREACH, "tcp6": unix.EACCES, "udp4": unix.EPERM, "udp6": unix.EPERM} {
			if s.client.Is6() != (network[3] == '6') {
				continue
			}
			err := dialTimeout(w.client, network, netip.AddrPortFrom(s.internet, 443), 0, 3*time.Second)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", network, err, want)
			}
		}
		// With the source address of somebody else, who is not told.
		from, to := netip.AddrPortFrom(s.internet, 9), netip.AddrPortFrom(s.resolver, 9)
		_ = w.client.Send(netlab.Datagram(from, to, nil))
	}
	if wire.Count() != 0 {
		t.Errorf("leaves: %s", wire.Report())
	}
}

// TestInbound begins connections from outside: what the host, its kernel or its
// programs answer leaves only to where it may send by itself.
func TestInbound(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.client.ServeTarget(t)
			f := open(t, w.client)
			l := look{w.isp, outgoing(t, w.client, "eth0"), inboundCases(s)}
			l.at(t, "no table", func(verdictCase) bool { return true })
			c := w.config()
			apply(t, f, c)
			l.at(t, "LAN allowed", func(c verdictCase) bool { return c.allow })
			c.LAN, c.Exclude = nil, nil
			apply(t, f, c)
			l.at(t, "LAN denied", func(verdictCase) bool { return false })
			// What came by the TUN is answered there, by errors too.
			l = look{w.far, answersOf(t, w.far, "tun0", s.tunnel), probes(s.beyond, s.tunnel)}
			l.at(t, "by the TUN", func(verdictCase) bool { return true })
		})
	}
}

// inboundCases asks the client from addresses of isp.
func inboundCases(s side) []verdictCase {
	var cases []verdictCase
	for _, from := range []struct {
		name  string
		addr  netip.Addr
		allow bool
	}{{"LAN", s.lan, true}, {"excluded", s.excluded, true}, {"internet", s.internet, false}} {
		for _, c := range probes(from.addr, s.client) {
			c.name += " from " + from.name
			c.allow = from.allow
			cases = append(cases, c)
		}
	}
	return cases
}

// probes is what makes a host with a Target answer.
func probes(from, to netip.Addr) []verdictCase {
	dial := func(network string, port uint16) func(*netlab.Host) error {
		return func(h *netlab.Host) error { return dialFrom(h, network, from, netip.AddrPortFrom(to, port)) }
	}
	return []verdictCase{
		{name: "TCP", send: dial("tcp", netlab.TransferPort)},
		{name: "UDP", send: dial("udp", netlab.EchoPort)},
		{name: "TCP to a closed port", send: dial("tcp", 9)},
		{name: "UDP to a closed port", send: dial("udp", 9)},
		{name: "echo request", send: func(h *netlab.Host) error { return echoFrom(h, from, to) }},
	}
}

// dialFrom is dial from one of h's addresses.
func dialFrom(h *netlab.Host, network string, from netip.Addr, to netip.AddrPort) error {
	return h.Do(func() error {
		d := net.Dialer{Timeout: 100 * time.Millisecond, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
		if network == "udp" {
			d = net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
		}
		c, err := d.Dial(network, to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(make([]byte, 10))
		return err
	})
}

// echoFrom sends an echo request from one of h's addresses.
func echoFrom(h *netlab.Host, from, to netip.Addr) error {
	network, m := "ip4:icmp", icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{}}
	if to.Is6() {
		network, m.Type = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest
	}
	b, err := m.Marshal(nil) // of ICMPv6, the kernel fills the checksum in
	if err != nil {
		return err
	}
	return h.Do(func() error {
		c, err := net.DialIP(network, &net.IPAddr{IP: from.AsSlice()}, &net.IPAddr{IP: to.AsSlice()})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(b)
		return err
	})
}
