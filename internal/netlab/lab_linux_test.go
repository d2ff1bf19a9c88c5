package netlab_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// A line is client - relay - target, with a wireguard-go tunnel from client to
// relay:
//
//	client 192.0.2.2 - 192.0.2.1 relay 203.0.113.1 - 203.0.113.2 target
//	       10.64.0.2 = 10.64.0.1
type line struct {
	*netlab.Lab
	client, relay, target *netlab.Host
	tunnel, far           *netlab.Tunnel // client's and relay's end
}

func newLine(t *testing.T) *line {
	l := &line{Lab: netlab.New(t)}
	program, err := netlab.Build(t.TempDir(), netlab.WireGuardGo)
	if err != nil {
		t.Fatal(err)
	}
	l.client, l.relay, l.target = l.Host("client"), l.Host("relay"), l.Host("target")
	l.Wire(l.client, "eth0", l.relay, "eth0")
	l.Wire(l.relay, "eth1", l.target, "eth0")
	l.client.Addr("eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	l.relay.Addr("eth0", "192.0.2.1/24", "2001:db8:1::1/64")
	l.relay.Addr("eth1", "203.0.113.1/24", "2001:db8:2::1/64")
	l.target.Addr("eth0", "203.0.113.2/24", "2001:db8:2::2/64")
	l.relay.Forward()
	l.target.Via("203.0.113.1", "10.64.0.0/24", "192.0.2.0/24")
	l.target.Via("2001:db8:2::1", "fd64::/64", "2001:db8:1::/64")

	ck, rk := netlab.NewKey(), netlab.NewKey()
	l.far = l.relay.StartTunnel(t, program, netlab.TunnelConfig{
		Name: l.Unique("rel"), PrivateKey: rk, ListenPort: 51820,
		Addrs: prefixes("10.64.0.1/24", "fd64::1/64"),
		Peers: []netlab.TunnelPeer{{PublicKey: ck.Public(), AllowedIPs: prefixes("10.64.0.2/32", "fd64::2/128")}},
	})
	l.tunnel = l.client.StartTunnel(t, program, netlab.TunnelConfig{
		Name: l.Unique("cli"), PrivateKey: ck,
		Addrs:  prefixes("10.64.0.2/32", "fd64::2/128"),
		Routes: prefixes("203.0.113.0/24", "2001:db8:2::/64"),
		Peers: []netlab.TunnelPeer{{
			PublicKey: rk.Public(), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			AllowedIPs: prefixes("0.0.0.0/0", "::/0"),
		}},
	})
	return l
}

func prefixes(ss ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// TestTunnel carries every kind of traffic through one wireguard-go tunnel,
// while a capture watches the client's uplink for anything else.
func TestTunnel(t *testing.T) {
	l := newLine(t)
	l.target.ServeTarget(t)
	endpoint := netip.MustParseAddrPort("192.0.2.1:51820")
	uplink := l.client.Capture(t, "eth0", netlab.CaptureOptions{
		Without: []netlab.Flow{netlab.UDPFlow(netip.MustParseAddr("192.0.2.2"), endpoint)},
		Match:   func(p *netlab.Packet) bool { return !p.Neighbourly() },
	})
	inside := l.relay.Capture(t, l.far.Config.Name, netlab.CaptureOptions{
		Keep:  1,
		Match: func(p *netlab.Packet) bool { return !p.Neighbourly() },
	})

	tests := []struct{ name, target, source string }{
		{"IPv4", "203.0.113.2", "10.64.0.2"},
		{"IPv6", "2001:db8:2::2", "fd64::2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := netip.MustParseAddr(tt.target)
			if n, _, err := l.client.Ping(target, 3, 1000, 2*time.Second); n != 3 || err != nil {
				t.Errorf("%d of 3 pings answered, %v", n, err)
			}
			if from, err := l.client.Echo(target, 1000, 2*time.Second); err != nil || from.Addr().String() != tt.source {
				t.Errorf("echo saw %v, %v; want %v", from, err, tt.source)
			}
			up, err := l.client.Upload(target, 16<<20, 30*time.Second)
			if err != nil || up.From.Addr().String() != tt.source {
				t.Errorf("upload seen from %v, %v; want %v", up.From, err, tt.source)
			}
			down, err := l.client.Download(target, 16<<20, 30*time.Second)
			if err != nil || down.From.Addr().String() != tt.source {
				t.Errorf("download seen from %v, %v; want %v", down.From, err, tt.source)
			}
		})
	}
	if n := uplink.Count(); n != 0 {
		t.Errorf("outside the tunnel: %s", uplink.Report())
	}
	if p := inside.Packets(); len(p) != 1 || p[0].Src.Addr() != netip.MustParseAddr("10.64.0.2") || p[0].Proto != netlab.ProtoICMP {
		t.Errorf("capture on a TUN: %s; want a ping first", inside.Report())
	}

	// The detector of all tests like this one: the same capture sees a packet
	// that does not belong there.
	stray := netlab.Datagram(netip.MustParseAddrPort("10.64.0.2:5"), netip.MustParseAddrPort("203.0.113.2:6"), []byte("stray"))
	if err := l.client.Inject("eth0", stray); err != nil {
		t.Fatal(err)
	}
	if !uplink.Wait(1, time.Second) || string(uplink.Packets()[0].Payload) != "stray" {
		t.Error("a packet in clear was not seen")
	}
	if lines, err := l.tunnel.Get(); err != nil || !strings.Contains(strings.Join(lines, "\n"), "endpoint="+endpoint.String()) {
		t.Errorf("get: %v, %q", err, lines)
	}
}

// TestTunnelRestart kills a tunnel's process and starts it again.
func TestTunnelRestart(t *testing.T) {
	l := newLine(t)
	l.target.ServeTarget(t)
	target := netip.MustParseAddr("203.0.113.2")
	if _, err := l.client.Echo(target, 100, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	l.tunnel.Kill()
	if l.client.HasLink(l.tunnel.Config.Name) {
		t.Error("interface of a killed tunnel still there")
	}
	l.tunnel.Start()
	if _, err := l.client.Echo(target, 100, 5*time.Second); err != nil {
		t.Error(err)
	}
	if cpu, rss := l.tunnel.Process.CPU(), l.tunnel.Process.PeakRSS(); cpu < 0 || rss < 1<<20 {
		t.Errorf("CPU %v, peak RSS %d", cpu, rss)
	}
}

// TestProcess runs programs in a host's namespace.
func TestProcess(t *testing.T) {
	lab := netlab.New(t)
	ip := netlab.RequireTool(t, "ip", "iproute2")
	a, b := lab.Host("a"), lab.Host("b")
	lab.Wire(a, "eth0", b, "eth0")
	a.Addr("eth0", "192.0.2.1/24")
	b.Addr("eth0", "192.0.2.2/24")
	for _, h := range []*netlab.Host{a, b} {
		out, err := h.Run(context.Background(), ip, "-o", "-4", "addr", "show", "dev", "eth0")
		if err != nil || strings.Contains(out, "192.0.2.1") != (h == a) {
			t.Errorf("%s: %q, %v", h.Name, out, err)
		}
	}
	p := a.Start(t, []string{"FOO=bar"}, "/bin/sh", "-c", "echo $FOO; exec sleep 60")
	for end := time.Now().Add(2 * time.Second); p.Output() != "bar\n" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := p.Output(); got != "bar\n" {
		t.Errorf("output %q", got)
	}
	if p.Exited() {
		t.Error("ended too early")
	}
	if err := p.Stop(); err == nil || !p.Exited() {
		t.Errorf("stop: %v; want an exit status that says SIGTERM", err)
	}
}

// TestSend sends packets with a source that the host does not have, through a
// router, and over a bridge.
func TestSend(t *testing.T) {
	lab := netlab.New(t)
	a, r, b := lab.Host("a"), lab.Host("router"), lab.Host("b")
	sw := lab.Host("switch")
	lab.Wire(a, "eth0", sw, "p0")
	lab.Wire(r, "eth0", sw, "p1")
	sw.Bridge("br0", "p0", "p1")
	lab.Wire(r, "eth1", b, "eth0")
	a.Addr("eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	r.Addr("eth0", "192.0.2.1/24", "2001:db8:1::1/64")
	r.Addr("eth1", "203.0.113.1/24", "2001:db8:2::1/64")
	b.Addr("eth0", "203.0.113.2/24", "2001:db8:2::2/64")
	a.Via("192.0.2.1", "0.0.0.0/0")
	a.Via("2001:db8:1::1", "::/0")
	r.Forward()
	tests := []struct{ name, src, dst string }{
		{"IPv4", "198.51.100.9:7", "203.0.113.2:9"},
		{"IPv6", "[2001:db8:9::9]:7", "[2001:db8:2::2]:9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
			c := b.Capture(t, "eth0", netlab.CaptureOptions{
				Match: func(p *netlab.Packet) bool { return p.Src == src && p.Dst == dst && string(p.Payload) == "forged" },
			})
			if err := a.Send(netlab.Datagram(src, dst, []byte("forged"))); err != nil {
				t.Fatal(err)
			}
			if !c.Wait(1, 2*time.Second) {
				t.Error("not seen behind the router")
			}
		})
	}
}

// TestLabEnds checks that a lab leaves no namespace, process or socket behind.
func TestLabEnds(t *testing.T) {
	netlab.Require(t)
	before := namespaces(t)
	var sockets []string
	t.Run("lab", func(t *testing.T) {
		l := newLine(t)
		sockets = []string{
			"/var/run/wireguard/" + l.tunnel.Config.Name + ".sock",
			"/var/run/wireguard/" + l.far.Config.Name + ".sock",
		}
		if n := added(t, before); len(n) < 3 {
			t.Errorf("only %d more namespaces: the detector is blind", len(n))
		}
		l.far.Kill()
	})
	for _, s := range sockets {
		if _, err := os.Lstat(s); err == nil {
			t.Errorf("%s is left", s)
		}
	}
	var left []string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if left = added(t, before); len(left) == 0 || time.Now().After(end) {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("namespaces left: %v", left)
	}
}

// namespaces are the network namespaces that threads or open files of this
// process hold.
func namespaces(t *testing.T) map[string]struct{} {
	t.Helper()
	found := make(map[string]struct{})
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if to, err := os.Readlink(p); err == nil && strings.HasPrefix(to, "net:[") {
				found[to] = struct{}{}
			}
		}
	}
	return found
}

// added are the namespaces that were not there before.
func added(t *testing.T, before map[string]struct{}) []string {
	t.Helper()
	var more []string
	for ns := range namespaces(t) {
		if _, ok := before[ns]; !ok {
			more = append(more, ns)
		}
	}
	return more
}
