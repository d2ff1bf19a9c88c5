package firewall

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// TestForward sends from a machine behind the client, which forwards for it.
func TestForward(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.far.ServeTarget(t)
			f := open(t, w.client)
			l := look{w.box, outgoing(t, w.client, "eth0"), forwardCases(s)}
			l.at(t, "no table", func(verdictCase) bool { return true })
			c := w.config()
			apply(t, f, c)
			l.at(t, "LAN allowed", func(c verdictCase) bool { return c.allow })
			w.tunnelServes(t, s)
			c.LAN, c.Exclude = nil, nil
			apply(t, f, c)
			l.at(t, "LAN denied", func(c verdictCase) bool { return c.deny })
			w.tunnelServes(t, s)
		})
	}
}

func forwardCases(s side) []verdictCase {
	at := netip.AddrPortFrom
	flow := func(network string, to netip.AddrPort, mark int) func(*netlab.Host) error {
		return func(h *netlab.Host) error { return dial(h, network, to, mark) }
	}
	ping := func(to netip.Addr) func(*netlab.Host) error {
		return func(h *netlab.Host) error { _, _, err := h.Ping(to, 1, 8, 50*time.Millisecond); return err }
	}
	return []verdictCase{
		{"TCP", flow("tcp", at(s.internet, 443), 0), false, false},
		{"UDP", flow("udp", at(s.internet, 443), 0), false, false},
		{"ICMP", ping(s.internet), false, false},
		{"GRE", rawProtocol(s.internet, 47), false, false},
		{"fragments", func(h *netlab.Host) error { return datagram(h, at(s.internet, 443), 0, 4000) }, false, false},
		{"endpoint", flow("udp", s.endpoint, testMark), false, false}, // its own mark ends at its own border
		{"resolver", flow("udp", at(s.resolver, 53), testMark), false, false},
		{"DNS", flow("udp", at(s.internet, 53), 0), false, false},
		{"DNS, TCP", flow("tcp", at(s.internet, 53), 0), false, false},
		{"DNS, LAN", flow("udp", at(s.lan, 53), 0), false, false},
		{"DNS over TLS, LAN", flow("tcp", at(s.lan, 853), 0), false, false},
		{"DNS, excluded", flow("udp", at(s.excluded, 53), 0), false, false},
		{"LAN, TCP", flow("tcp", at(s.lan, 80), 0), true, false},
		{"LAN, UDP", flow("udp", at(s.lan, 80), 0), true, false},
		{"LAN, ICMP", ping(s.lan), true, false},
		{"excluded, TCP", flow("tcp", at(s.excluded, 80), 0), true, false},
	}
}

// tunnelServes checks that the box is answered through the tunnel: TCP, UDP,
// ICMP, an ICMP error.
func (w *world) tunnelServes(t *testing.T, s side) {
	t.Helper()
	if _, err := w.box.Echo(s.beyond, 10, time.Second); err != nil {
		t.Errorf("UDP through the tunnel: %v", err)
	}
	if _, err := w.box.Download(s.beyond, 1<<16, 2*time.Second); err != nil {
		t.Errorf("TCP through the tunnel: %v", err)
	}
	if n, _, err := w.box.Ping(s.beyond, 1, 10, time.Second); n != 1 {
		t.Errorf("ICMP through the tunnel: %v", err)
	}
	got := w.box.Capture(t, "eth0", netlab.CaptureOptions{
		Match: func(p *netlab.Packet) bool { return !p.Outgoing && p.ICMPError() },
	})
	_ = dial(w.box, "udp", netip.AddrPortFrom(s.beyond, 9), 0)
	if !got.Wait(1, time.Second) {
		t.Error("ICMP errors do not come through the tunnel")
	}
	got.Close()
}

// TestForwardBegun checks what others begin: a flow from the tunnel or from the
// internet that the client would forward.
func TestForwardBegun(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.box.ServeTarget(t)
			f := open(t, w.client)
			answered := func(h *netlab.Host, from netip.Addr, tries int) bool {
				for range tries {
					if dialFrom(h, "tcp", from, netip.AddrPortFrom(s.box, netlab.TransferPort)) == nil {
						return true
					}
				}
				return false
			}
			expect := func(state string, internet, lan, tunnel bool) {
				t.Helper()
				for _, q := range []struct {
					name string
					h    *netlab.Host
					from netip.Addr
					want bool
				}{{"internet", w.isp, s.internet, internet}, {"LAN", w.isp, s.lan, lan}, {"tunnel", w.far, s.beyond, tunnel}} {
					tries := 3
					if q.want {
						tries = 30 // the machine may be busy
					}
					if got := answered(q.h, q.from, tries); got != q.want {
						t.Errorf("%s: a connection from %s to the box: %v, want %v", state, q.name, got, q.want)
					}
				}
			}
			expect("no table", true, true, true)
			c := w.config()
			apply(t, f, c)
			expect("LAN allowed", false, true, true)
			c.LAN = nil
			apply(t, f, c)
			expect("LAN denied", false, false, false)
		})
	}
}

// TestForwardOld has the far end begin a flow while it may: it does not go on once
// the kill switch is there.
func TestForwardOld(t *testing.T) {
	for _, s := range sides() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.box.ServeTarget(t)
			f := open(t, w.client)
			arrive := w.box.Capture(t, "eth0", netlab.CaptureOptions{
				Match: func(p *netlab.Packet) bool { return !p.Outgoing && p.Src.Addr() == s.beyond },
			})
			from := netip.AddrPortFrom(s.beyond, 4000)
			send := func() {
				t.Helper()
				// Each a socket of its own, but the same flow.
				err := socket(w.far, netip.AddrPortFrom(s.box, netlab.EchoPort), func(fd int) error {
					return unix.Bind(fd, sockaddr(from))
				})
				if err != nil {
					t.Error(err)
				}
			}
			c := w.config()
			c.LAN, c.KillSwitch = nil, false // connections are tracked, nothing is dropped
			apply(t, f, c)
			for range 2 { // the second one is of an established flow
				arrive.Reset()
				send()
				if !arrive.Wait(1, 3*time.Second) {
					t.Fatal("nothing arrives without the kill switch: this test proves nothing")
				}
				time.Sleep(50 * time.Millisecond)
			}
			c.KillSwitch = true
			apply(t, f, c)
			arrive.Reset()
			send()
			time.Sleep(50 * time.Millisecond)
			if arrive.Count() != 0 {
				t.Errorf("goes on: %s", arrive.Report())
			}
		})
	}
}
