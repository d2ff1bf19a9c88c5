package lookup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/internal/memnet"
	"multihop/packet"
	"multihop/router"
	"multihop/tun"
)

// Through a hop, at a resolver that is beyond it: the query arrives from the
// hop's tunnel address, and never by the host's network.
func TestCarrier(t *testing.T) {
	world := memnet.New()
	client, tunnel := addrs("192.0.2.1"), addrs("10.1.0.2")
	key := router.NewPrivateKey()
	entry, err := world.NewRelay("entry", addrs("192.0.2.10"), nil)
	if err == nil {
		err = errors.Join(entry.Add(memnet.Client{PublicKey: key.Public(), Addrs: tunnel}), entry.Start())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(entry.Stop)
	resolver := addrs("203.0.113.53")
	serveMemory(t, world.Bind(resolver...))
	var through, direct atomic.Int32
	world.Host(resolver[0]).Tap(func(sent bool, pkt []byte) {
		var m packet.Meta
		switch {
		case sent || m.Parse(pkt) != packet.OK:
		case m.Src == tunnel[0]:
			through.Add(1)
		default:
			direct.Add(1)
		}
	})

	past := world.Bind(addrs("192.0.2.99")...) // detector
	_, _, err = past.Open(0)
	to, perr := past.ParseEndpoint("203.0.113.53:53")
	if err = errors.Join(err, perr); err == nil {
		err = past.Send([][]byte{[]byte("past the hop")}, to)
	}
	if err != nil || direct.Swap(0) != 1 {
		t.Fatalf("a datagram past the hop is not seen: %v", err)
	}
	if err := past.Close(); err != nil {
		t.Fatal(err)
	}

	plan, err := router.Compile(router.Config{Hops: []router.Hop{{
		Name: "entry", PrivateKey: key, Addrs: tunnel,
		Peers: []router.Peer{{
			PublicKey: entry.PublicKey(), Endpoint: entry.Endpoint().String(),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	dev, _, err := netstack.CreateNetTUN(plan.Addrs, nil, plan.MTU)
	if err != nil {
		t.Fatal(err)
	}
	r := router.New(&router.Options{Bind: func(string) conn.Bind { return world.Bind(client...) }})
	if err := errors.Join(r.SetTUN(tun.Queue(dev)), r.Apply(t.Context(), plan)); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.WithoutCancel(t.Context())) }() // until Close
	t.Cleanup(func() { _, _ = r.Close(), <-ran })

	c := &Client{
		Servers: []netip.AddrPort{netip.AddrPortFrom(resolver[0], 53)},
		Listen: func(_ context.Context, network string) (net.PacketConn, error) {
			return r.ListenUDP("entry", network)
		},
		Hosts: "/dev/null",
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if probe, err := r.ListenUDP("entry", "udp4"); err == nil { // it runs
			_ = probe.Close()
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	got, _, err := c.Lookup(t.Context(), "vpn.example.com")
	if want := addrs("192.0.2.1", "2001:db8::1"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if through.Load() == 0 || direct.Load() > 0 {
		t.Errorf("%d queries through the hop, %d past it", through.Load(), direct.Load())
	}

	c.Servers = []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::53]:53")}
	if got, _, err := c.Lookup(t.Context(), "vpn.example.com"); err == nil || !strings.Contains(err.Error(), "no address for udp6") {
		t.Errorf("at a resolver of a family that the hop does not have: %v, %v", got, err)
	}
}

// serveMemory answers as host does, on port 53 of a bind, until the test ends.
func serveMemory(t *testing.T, b conn.Bind) {
	t.Helper()
	fns, _, err := b.Open(53)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = b.Close()
		<-done
	})
	go func() {
		defer close(done)
		n := b.BatchSize()
		bufs, sizes, eps := make([][]byte, n), make([]int, n), make([]conn.Endpoint, n)
		for i := range bufs {
			bufs[i] = make([]byte, 2048)
		}
		for {
			n, err := fns[0](bufs, sizes, eps)
			if err != nil {
				return
			}
			for i := range n {
				if q, ok := parseQuery(bufs[i][:sizes[i]]); ok {
					_ = b.Send(host(q), eps[i])
				}
			}
		}
	}()
}
