package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// A pairing is a client with a multihop of one hop, and a server with
// wireguard-go, on a network that the test built.
type pairing struct {
	client, server *netlab.Host
	programs       *e2e.Programs
	name           string // of the client's TUN
	far            netip.Addr
	process        *netlab.Process
}

// pairUp starts both ends, with tunnels of that MTU, and waits for an answer.
// The server is at addr.
func pairUp(t *testing.T, l *netlab.Lab, client, server *netlab.Host, addr string, mtu int) *pairing {
	t.Helper()
	programs, err := buildPrograms("..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &pairing{client: client, server: server, programs: programs, name: l.Unique("m"), far: netip.MustParseAddr("10.9.0.1")}
	ours, theirs := netlab.NewKey(), netlab.NewKey()
	server.StartTunnel(t, programs.WireGuardGo, netlab.TunnelConfig{
		Name: l.Unique("server"), PrivateKey: theirs, ListenPort: 51820, MTU: mtu,
		Addrs: e2e.Prefixes("10.9.0.1/32"), Routes: e2e.Prefixes("10.9.0.2/32"),
		Peers: []netlab.TunnelPeer{{PublicKey: ours.Public(), AllowedIPs: e2e.Prefixes("10.9.0.2/32")}},
	})
	server.ServeTarget(t)
	file := &e2e.Conf{PrivateKey: ours, Addrs: []netip.Addr{netip.MustParseAddr("10.9.0.2")}, MTU: mtu, Peers: []e2e.ConfPeer{{
		PublicKey: theirs.Public(), Endpoint: netip.AddrPortFrom(netip.MustParseAddr(addr), 51820), AllowedIPs: []string{"10.9.0.1/32"},
	}}}
	p.process = client.Start(t, nil, programs.Multihop, "run", "--name", p.name, file.Write(t, t.TempDir(), "hop.conf"))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got, _, _ := client.Ping(p.far, 1, 32, time.Second); got == 1 {
			return p
		} else if time.Now().After(end) {
			t.Fatalf("no answer; output of multihop:\n%s", p.process.Output())
		}
	}
}

// status asks the client.
func (p *pairing) status(t *testing.T) *e2e.Status {
	t.Helper()
	s := new(e2e.Status)
	if err := json.Unmarshal([]byte(p.run(t, p.programs.Multihop, "show", "--json", p.name)), s); err != nil || len(s.Hops) != 1 {
		t.Fatalf("show --json: %d hops, %v", len(s.Hops), err)
	}
	return s
}

// upload moves data, in connections of their own: slow start makes small
// packets first.
func (p *pairing) upload(t *testing.T, times int) {
	t.Helper()
	for range times {
		if _, err := p.client.Upload(p.far, 32<<20, time.Minute); err != nil {
			t.Fatalf("%v; output of multihop:\n%s", err, p.process.Output())
		}
	}
}

// run runs a program on the client.
func (p *pairing) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := p.client.Run(ctx, name, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// TestSmallSegments uploads through a hop with a small MTU. The kernel hands TCP
// to a TUN in packets of up to 64 KiB, which become hundreds of segments, more than
// a batch. None is lost, from the first on. The detector sees that there are such
// packets.
func TestSmallSegments(t *testing.T) {
	const (
		mtu     = 300 // 260 segments in 64 KiB
		segment = mtu - 20 - 32
		batch   = 128
	)
	l := netlab.New(t)
	client, server := l.Host("client"), l.Host("server")
	l.Wire(client, "eth0", server, "eth0")
	client.Addr("eth0", "192.0.2.2/24")
	server.Addr("eth0", "192.0.2.1/24")
	client.LimitSuperPackets("eth0", 64*mtu) // the server's wireguard-go takes 64 datagrams joined
	p := pairUp(t, l, client, server, "192.0.2.1", mtu)
	large := client.Capture(t, p.name, netlab.CaptureOptions{Match: func(p *netlab.Packet) bool { return p.Outgoing && p.Len > batch*segment+100 }})
	p.upload(t, 3)
	s := p.status(t)
	if s.Read < 3*32<<20/mtu {
		t.Errorf("%d packets read", s.Read)
	}
	if s.Drops["segments"] != 0 {
		t.Errorf("super-packets cut short: %v, %v", s.Drops, s.Hops[0].Drops)
	}
	if large.Count() == 0 {
		t.Errorf("detector: no packet of more than %d segments", batch)
	}
}

// TestPathShrinks puts a narrow link behind a router, of which the kernel learns
// by ICMP. The hop's MTU follows, and all that was sent arrives.
func TestPathShrinks(t *testing.T) {
	const narrow = 1300
	l := netlab.New(t)
	client, router, server := l.Host("client"), l.Host("router"), l.Host("server")
	l.Wire(client, "eth0", router, "eth0")
	l.Wire(router, "eth1", server, "eth0")
	client.Addr("eth0", "192.0.2.2/24")
	router.Addr("eth0", "192.0.2.1/24")
	router.Addr("eth1", "198.51.100.1/24")
	server.Addr("eth0", "198.51.100.2/24")
	client.Via("192.0.2.1", "0.0.0.0/0")
	server.Via("198.51.100.1", "0.0.0.0/0")
	router.Forward()
	p := pairUp(t, l, client, server, "198.51.100.2", 1420)
	mtu := func() int { return p.status(t).Hops[0].MTU }
	p.upload(t, 1)
	if got := mtu(); got != 1420 {
		t.Fatalf("MTU %d before the path shrinks", got)
	}
	router.SetMTU("eth1", narrow)
	server.SetMTU("eth0", narrow)
	p.upload(t, 1)
	want := narrow - 60
	for end := time.Now().Add(20 * time.Second); mtu() != want; p.upload(t, 1) { // routers say so much ICMP and no more
		if time.Now().After(end) {
			t.Fatalf("MTU %d, want %d; output of multihop:\n%s", mtu(), want, p.process.Output())
		}
	}
	p.upload(t, 1)
	if n := drops(client, p.programs.Multihop, p.name)["send_error"]; n != 0 {
		t.Errorf("%v packets could not be sent", n)
	}
}
