package firewall

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// A verdictCase is traffic, and whether it may leave by the uplink.
type verdictCase struct {
	name        string
	send        func(h *netlab.Host) error
	allow, deny bool // with LAN and Exclude; without
}

func outputCases(s side) []verdictCase {
	at := netip.AddrPortFrom
	flow := func(network string, to netip.AddrPort, mark int) func(*netlab.Host) error {
		return func(h *netlab.Host) error { return dial(h, network, to, mark) }
	}
	ping := func(to netip.Addr) func(*netlab.Host) error {
		return func(h *netlab.Host) error { _, _, err := h.Ping(to, 1, 8, 50*time.Millisecond); return err }
	}
	other := netip.MustParseAddr(s.notOurs)
	cases := []verdictCase{
		{"TCP", flow("tcp", at(s.internet, 443), 0), false, false},
		{"UDP", flow("udp", at(s.internet, 443), 0), false, false},
		{"ICMP", ping(s.internet), false, false},
		{"GRE", rawProtocol(s.internet, unix.IPPROTO_GRE), false, false},
		{"SCTP", rawProtocol(s.internet, unix.IPPROTO_SCTP), false, false},
		{"foreign source", func(h *netlab.Host) error {
			return h.Send(netlab.Datagram(at(s.beyond, 9), at(s.internet, 9), nil))
		}, false, false},
		{"fragments", func(h *netlab.Host) error { return datagram(h, at(s.internet, 443), 0, 4000) }, false, false},
		{"socket bound to the uplink", func(h *netlab.Host) error { return boundTo(h, "eth0", at(s.internet, 443)) }, false, false},
		{"TCP with the mark", flow("tcp", at(s.internet, 443), testMark), false, false},
		{"UDP with the mark", flow("udp", at(s.internet, 443), testMark), false, false},

		{"endpoint", flow("udp", s.endpoint, testMark), true, true},
		{"endpoint, fragments", func(h *netlab.Host) error { return datagram(h, s.endpoint, testMark, 4000) }, true, true},
		{"endpoint, no mark", flow("udp", s.endpoint, 0), false, false},
		{"endpoint, other mark", flow("udp", s.endpoint, testMark+1), false, false},
		{"endpoint, TCP", flow("tcp", s.endpoint, 0), false, false},
		{"endpoint, TCP with the mark", flow("tcp", s.endpoint, testMark), false, false},
		{"endpoint's address, other port", flow("udp", at(s.endpoint.Addr(), 443), testMark), false, false},
		{"endpoint's address, no mark, other port", flow("udp", at(s.endpoint.Addr(), 443), 0), false, false},
		{"endpoint's address, ICMP", ping(s.endpoint.Addr()), false, false},
		{"endpoint's port, other address", flow("udp", at(other, s.endpoint.Port()), testMark), false, false},

		{"resolver, UDP", flow("udp", at(s.resolver, 53), testMark), true, true},
		{"resolver, TCP", flow("tcp", at(s.resolver, 53), testMark), true, true},
		{"resolver, no mark", flow("udp", at(s.resolver, 53), 0), false, false},
		{"resolver, other port", flow("udp", at(s.resolver, 54), testMark), false, false},
		{"other resolver", flow("udp", at(other, 53), testMark), false, false},
		{"other resolver, TCP", flow("tcp", at(other, 53), 0), false, false},

		{"other instance's endpoint", flow("udp", s.otherEndpoint(), otherMark), true, true},
		{"other instance's endpoint, no mark", flow("udp", s.otherEndpoint(), 0), false, false},
		{"other instance's endpoint, our mark", flow("udp", s.otherEndpoint(), testMark), false, false},
		{"other instance's endpoint, TCP", flow("tcp", s.otherEndpoint(), otherMark), false, false},
		{"other instance's endpoint, other port", flow("udp", at(s.internet, 4712), otherMark), false, false},
		{"other instance's endpoint, other address", flow("udp", at(other, 4711), otherMark), false, false},
		{"our endpoint, other instance's mark", flow("udp", s.endpoint, otherMark), false, false},
		{"other instance's resolver, UDP", flow("udp", at(other, 53), otherMark), true, true},
		{"other instance's resolver, TCP", flow("tcp", at(other, 53), otherMark), true, true},
		{"other instance's resolver, other port", flow("udp", at(other, 54), otherMark), false, false},
		{"our resolver, other instance's mark", flow("udp", at(s.resolver, 53), otherMark), false, false},

		{"LAN, TCP", flow("tcp", at(s.lan, 80), 0), true, false},
		{"LAN, UDP", flow("udp", at(s.lan, 80), 0), true, false},
		{"LAN, ICMP", ping(s.lan), true, false},
		{"excluded, TCP", flow("tcp", at(s.excluded, 80), 0), true, false},
		{"excluded, UDP", flow("udp", at(s.excluded, 80), 0), true, false},
	}
	for _, to := range []struct {
		name string
		addr netip.Addr
	}{{"internet", s.internet}, {"LAN", s.lan}, {"excluded", s.excluded}} {
		for _, port := range []uint16{53, 853} {
			for _, network := range []string{"udp", "tcp"} {
				cases = append(cases, verdictCase{
					fmt.Sprintf("DNS, %s, %s %d", to.name, network, port), flow(network, at(to.addr, port), 0), false, false,
				})
			}
		}
	}
	return append(cases, linkCases(s)...)
}

// linkCases is what a link needs or has, by sockets of programs.
func linkCases(s side) []verdictCase {
	to := func(from, to string) func(*netlab.Host) error {
		return func(h *netlab.Host) error {
			return fromPort(h, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to))
		}
	}
	if s.client.Is6() {
		return []verdictCase{
			{"mDNS", to("[::]:5353", "[ff02::fb%eth0]:5353"), true, false},
			{"DNS by multicast", to("[::]:5353", "[ff02::fb%eth0]:53"), false, false},
			{"wider multicast", to("[::]:5353", "[ff0e::fb%eth0]:5353"), false, false},
		}
	}
	return []verdictCase{
		{"DHCP", to("0.0.0.0:68", "255.255.255.255:67"), true, true},
		{"DHCP to one server", to("0.0.0.0:68", "203.0.113.7:67"), false, false},
		{"DHCP's port, other broadcast", to("0.0.0.0:69", "255.255.255.255:67"), true, false},
		{"mDNS", to("0.0.0.0:5353", "224.0.0.251:5353"), true, false},
		{"SSDP", to("0.0.0.0:1900", "239.255.255.250:1900"), true, false},
		{"wider multicast", to("0.0.0.0:1900", "239.0.0.250:1900"), false, false},
	}
}

// TestOutput sends every kind of traffic from the host itself.
func TestOutput(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := open(t, w.client)
			l := look{w.client, outgoing(t, w.client, "eth0"), outputCases(s)}
			l.at(t, "no table", func(verdictCase) bool { return true })
			c := w.config()
			apply(t, f, c)
			l.at(t, "LAN allowed", func(c verdictCase) bool { return c.allow })
			c.LAN, c.Exclude = nil, nil
			apply(t, f, c)
			l.at(t, "LAN denied", func(c verdictCase) bool { return c.deny })
		})
	}
}

// A look sends cases from a host and looks for them on a wire.
type look struct {
	from  *netlab.Host
	wire  *netlab.Capture
	cases []verdictCase
}

// at fails the test unless just the wanted cases are seen.
func (l look) at(t *testing.T, state string, want func(verdictCase) bool) {
	t.Helper()
	for _, c := range l.cases {
		if !want(c) {
			continue
		}
		l.wire.Reset()
		err := c.send(l.from)                                              // refused or not: the wire tells
		for i := 0; i < 10 && !l.wire.Wait(1, 300*time.Millisecond); i++ { // the machine may be busy
			err = c.send(l.from)
		}
		if l.wire.Count() == 0 {
			t.Errorf("%s: %s does not leave: %v", state, c.name, err)
		}
	}
	time.Sleep(50 * time.Millisecond) // the rest of them
	l.wire.Reset()
	for _, c := range l.cases {
		if !want(c) {
			_ = c.send(l.from)
		}
	}
	if l.wire.Count() != 0 {
		t.Errorf("%s: leaves: %s", state, l.wire.Report())
	}
}
