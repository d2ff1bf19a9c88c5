package memnet

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/packet"
	"multihop/tun"
)

// ours is a leak check for goroutines of this package and of tun; wireguard-go
// and gVisor end theirs in their own time.
func ours(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		goleak.VerifyNone(t,
			goleak.IgnoreAnyFunction("gvisor.dev/gvisor/pkg/tcpip/transport/tcp.(*processor).start"),
			goleak.IgnoreAnyFunction("golang.zx2c4.com/wireguard/device.(*Device).RoutineTUNEventReader"))
	})
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// A client is an ordinary WireGuard client with a TCP/IP stack in its tunnel.
type client struct {
	dev  *device.Device
	http *http.Client
}

type clientConfig struct {
	outer, inner netip.Addr
	allowed      []netip.Prefix // on the relay
}

func newClient(t *testing.T, n *Net, r *Relay, c clientConfig) *client {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(Client{
		PublicKey: [32]byte(key.PublicKey().Bytes()), Addrs: []netip.Addr{c.inner}, AllowedIPs: c.allowed,
	}); err != nil {
		t.Fatal(err)
	}
	stackTUN, stack, err := netstack.CreateNetTUN([]netip.Addr{c.inner}, nil, 1380)
	if err != nil {
		t.Fatal(err)
	}
	dev := device.NewDevice(tun.Queue(stackTUN), n.Bind(c.outer), device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(dev.Close)
	if err := dev.IpcSet(fmt.Sprintf("private_key=%x\npublic_key=%x\nendpoint=%s\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n",
		key.Bytes(), r.PublicKey(), r.Endpoint())); err != nil {
		t.Fatal(err)
	}
	if err := dev.Up(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: stack.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{dev: dev, http: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

func (c *client) get(t *testing.T, url string) string {
	t.Helper()
	resp, err := c.http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(b)
}

func newRelay(t *testing.T, n *Net, addrs ...netip.Addr) *Relay {
	t.Helper()
	r, err := n.NewRelay("relay", addrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

func startSite(t *testing.T, n *Net, addrs ...netip.Addr) *Site {
	t.Helper()
	s, err := n.StartSite("site", addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestTunnel(t *testing.T) {
	const total = 1 << 20
	tests := []struct {
		name               string
		outer, relay       string
		inner, site, other string
	}{
		{"IPv4 in IPv4", "198.51.100.1", "192.0.2.1", "10.64.0.2", "203.0.113.80", "203.0.113.81"},
		{"IPv6 in IPv4", "198.51.100.1", "192.0.2.1", "fd00::2", "2001:db8::80", "2001:db8::81"},
		{"IPv4 in IPv6", "2001:db8:1::1", "2001:db8:2::1", "10.64.0.2", "203.0.113.80", "203.0.113.81"},
		{"IPv6 in IPv6", "2001:db8:1::1", "2001:db8:2::1", "fd00::2", "2001:db8::80", "2001:db8::81"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ours(t)
			n := New()
			relay := newRelay(t, n, addr(tt.relay))
			site := startSite(t, n, addr(tt.site))
			var wrong atomic.Int64
			c := newClient(t, n, relay, clientConfig{outer: addr(tt.outer), inner: addr(tt.inner)})
			n.Host(addr(tt.outer)).Tap(func(sent bool, pkt []byte) {
				var m packet.Meta
				if m.Parse(pkt) != packet.OK || m.Proto != packet.ProtoUDP ||
					sent && netip.AddrPortFrom(m.Dst, m.DstPort) != relay.Endpoint() ||
					!sent && netip.AddrPortFrom(m.Src, m.SrcPort) != relay.Endpoint() {
					wrong.Add(1)
				}
			})

			host := netip.AddrPortFrom(addr(tt.site), 80).String()
			if got := c.get(t, "http://"+host+"/"); got != "site "+tt.inner+"\n" {
				t.Fatalf("the site says %q", got)
			}
			start := time.Now()
			if got := c.get(t, fmt.Sprintf("http://%s/bytes?n=%d", host, total)); len(got) != total {
				t.Fatalf("%d bytes", len(got))
			}
			t.Logf("down %.0f Mbit/s", total*8/1e6/time.Since(start).Seconds())
			resp, err := c.http.Post("http://"+host+"/", "", strings.NewReader(strings.Repeat("x", 1<<18)))
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprintln(1<<18) {
				t.Fatalf("uploaded: %q", b)
			}
			resp.Body.Close()

			if seen := site.Seen(); len(seen) != 1 || seen[addr(tt.inner)] != 3 {
				t.Fatalf("the site saw %v", seen)
			}
			flow := Flow{packet.ProtoTCP, addr(tt.inner), netip.AddrPortFrom(addr(tt.site), 80)}
			if flows := relay.Forwarded(); len(flows) != 1 || flows[flow] == 0 {
				t.Fatalf("the relay forwarded %v", flows)
			}
			if wrong.Load() != 0 {
				t.Fatalf("%d packets on the client's wire are not between it and the relay", wrong.Load())
			}
			sent, out := relay.Inside().Counters().Sent, relay.Outside().Counters()
			if sent != relay.Forwarded()[flow] || out.Sent == 0 || out.Received < sent {
				t.Fatalf("counters: %d sent inside, %+v outside", sent, out)
			}
		})
	}
}

// TestRelayStops: while it is stopped nothing arrives, afterwards it does again
// with the same keys.
func TestRelayStops(t *testing.T) {
	ours(t)
	n := New()
	relay := newRelay(t, n, addr("192.0.2.1"))
	startSite(t, n, addr("203.0.113.80"))
	c := newClient(t, n, relay, clientConfig{outer: addr("198.51.100.1"), inner: addr("10.64.0.2")})
	const url = "http://203.0.113.80/"
	c.get(t, url)

	relay.Stop()
	relay.Stop()
	if got := relay.Inject(make([]byte, 40)); got != 0 {
		t.Fatal("a stopped relay took a packet")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.http.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("answered through a stopped relay")
	}
	if out := relay.Outside().Counters(); out.Dropped == 0 {
		t.Fatalf("counters %+v: nothing was dropped", out)
	}
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	// By itself the client would notice after 15 seconds.
	if err := errors.Join(c.dev.Down(), c.dev.Up()); err != nil {
		t.Fatal(err)
	}
	c.get(t, url)
}

// TestAllowedIPs: a relay that does not allow the client's address forwards
// nothing of it, and forwards every source if it allows all.
func TestAllowedIPs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		allowed []netip.Prefix
		passes  bool
	}{
		{"default", nil, true},
		{"all", []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, true},
		{"another", []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours(t)
			n := New()
			relay := newRelay(t, n, addr("192.0.2.1"))
			site := startSite(t, n, addr("203.0.113.80"))
			c := newClient(t, n, relay, clientConfig{addr("198.51.100.1"), addr("10.64.0.2"), tt.allowed})
			c.http.Timeout = 20 * time.Second
			if !tt.passes {
				c.http.Timeout = 300 * time.Millisecond
			}
			resp, err := c.http.Get("http://203.0.113.80/")
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != tt.passes || (len(relay.Forwarded()) > 0) != tt.passes || (len(site.Seen()) > 0) != tt.passes {
				t.Fatalf("%v; forwarded %v, seen %v", err, relay.Forwarded(), site.Seen())
			}
		})
	}
}

// TestInject: what a relay forges arrives in the tunnel of the client.
func TestInject(t *testing.T) {
	ours(t)
	n := New()
	relay := newRelay(t, n, addr("192.0.2.1"))
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	inner := addr("10.64.0.2")
	if err := relay.Add(Client{PublicKey: [32]byte(key.PublicKey().Bytes()), Addrs: []netip.Addr{inner}}); err != nil {
		t.Fatal(err)
	}
	mem := tun.NewMemory(nil)
	dev := device.NewDevice(mem, n.Bind(addr("198.51.100.1")), device.NewLogger(device.LogLevelSilent, ""))
	defer dev.Close()
	if err := dev.IpcSet(fmt.Sprintf("private_key=%x\npublic_key=%x\nendpoint=%s\nallowed_ip=0.0.0.0/0\npersistent_keepalive_interval=1\n",
		key.Bytes(), relay.PublicKey(), relay.Endpoint())); err != nil {
		t.Fatal(err)
	}
	if err := dev.Up(); err != nil {
		t.Fatal(err)
	}
	forged := make([]byte, packet.UDPOverhead(inner)+4)
	packet.PutUDP(forged, netip.MustParseAddrPort("192.168.1.1:53"), netip.AddrPortFrom(inner, 5353), 4, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { // until the client has shaken hands
		for ctx.Err() == nil {
			relay.Inject(forged)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	bufs, sizes := [][]byte{make([]byte, 2000)}, make([]int, 1)
	got, err := mem.ReadPackets(ctx, bufs, sizes)
	if err != nil || got != 1 || string(bufs[0][:sizes[0]]) != string(forged) {
		t.Fatalf("%d, %v, % x", got, err, bufs[0][:sizes[0]])
	}
	cancel()
}
