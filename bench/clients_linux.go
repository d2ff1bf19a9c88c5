package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// A subject is a program that is measured as the client of the two relays.
type subject struct {
	name  string
	start func(l *lab, t *testbed) *client
}

// A client is one that runs.
type client struct {
	processes []*netlab.Process
	drops     func() map[string]float64 // packets by reason so far; nil: it does not say
}

func (c *client) pids() []int {
	var all []int
	for _, p := range c.processes {
		all = append(all, p.PID())
	}
	return all
}

func (c *client) stop() {
	for _, p := range c.processes {
		_ = p.Stop()
	}
}

func (c *client) output() string {
	var b strings.Builder
	for _, p := range c.processes {
		b.WriteString(p.Output())
	}
	return b.String()
}

// A testbed is the network of package e2e with both relays, and what measures.
type testbed struct {
	*e2e.Network
	relays  *e2e.Relays
	sink    map[netip.Addr]*sink
	counter map[netip.Addr]*counter
}

func newTestbed(l *lab, p *e2e.Programs) *testbed {
	n := e2e.NewNetwork(l, p)
	// Nothing but the tunnels leads to the targets.
	n.Client.Unroute("0.0.0.0/0", e2e.EntryAddr().V4.String())
	for _, h := range []*netlab.Host{n.Client, n.Near, n.Far} {
		h.Sysctl("ipv4/tcp_no_metrics_save=1") // each transfer starts afresh
	}
	t := &testbed{Network: n, relays: n.StartRelays(l, e2e.RelayOptions{}), sink: make(map[netip.Addr]*sink), counter: make(map[netip.Addr]*counter)}
	for addr, h := range map[netip.Addr]*netlab.Host{near(): n.Near, far(): n.Far} {
		t.sink[addr] = startSink(l, h)
		t.counter[addr] = startCounter(l, h)
	}
	return t
}

func near() netip.Addr { return e2e.NearAddr().V4 }
func far() netip.Addr  { return e2e.FarAddr().V4 }

// Networks of the targets.
const (
	nearNet = "203.0.113.0/25"
	farNet  = "203.0.113.128/25"
)

// A build is a multihop, and how it is run.
type build struct {
	name    string
	program string // "": the tree's
	env     []string
}

// parseBuild reads "name=[PROGRAM] [VARIABLE=VALUE ...]".
func parseBuild(s string) (build, error) {
	name, rest, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return build{}, fmt.Errorf("-variant %q: want NAME=[PROGRAM] [VARIABLE=VALUE ...]", s)
	}
	b := build{name: name}
	for i, f := range strings.Fields(rest) {
		switch {
		case strings.Contains(f, "="):
			b.env = append(b.env, f)
		case i == 0:
			b.program = f
		default:
			return build{}, fmt.Errorf("-variant %q: %q is no VARIABLE=VALUE", s, f)
		}
	}
	return b, nil
}

// run starts `multihop run` with wg-quick files and routes on h.
func (b build) run(l *lab, n *netlab.Lab, h *netlab.Host, p *e2e.Programs, files, routes []string, flags ...string) *client {
	program := b.program
	if program == "" {
		program = p.Multihop
	}
	name := n.Unique("m" + h.Name[:1])
	args := append([]string{"run", "--name", name}, files...)
	for _, r := range routes {
		args = append(args, "--route", r)
	}
	c := &client{processes: []*netlab.Process{h.Start(l, b.env, program, append(args, flags...)...)}}
	c.drops = func() map[string]float64 { return drops(h, program, name) }
	return c
}

// drops asks a multihop.
func drops(h *netlab.Host, program, name string) map[string]float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var s e2e.Status
	out, err := h.Run(ctx, program, "show", "--json", name)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		return nil
	}
	sum := make(map[string]float64)
	add := func(drops map[string]uint64) {
		for reason, n := range drops {
			sum[reason] += float64(n)
		}
	}
	add(s.Drops)
	for _, hop := range s.Hops {
		add(hop.Drops)
	}
	return sum
}

func (b build) oneHop() subject {
	return subject{b.name, func(l *lab, t *testbed) *client {
		entry := t.relays.EntryConf(near(), nearNet).Write(l, l.TempDir(), "entry.conf")
		return b.run(l, t.Lab, t.Client, t.Programs, []string{entry}, []string{nearNet})
	}}
}

func (b build) twoHops() subject {
	return subject{b.name, func(l *lab, t *testbed) *client {
		dir := l.TempDir()
		entry := t.relays.EntryConf(near(), "198.51.100.2/32").Write(l, dir, "entry.conf")
		exit := t.relays.ExitConf(near(), farNet).Write(l, dir, "exit.conf")
		return b.run(l, t.Lab, t.Client, t.Programs, []string{entry, exit}, []string{farNet})
	}}
}

// outer is the tunnel of wireguard-go to the entry.
func outer(l *lab, t *testbed) *netlab.Tunnel {
	return t.Client.StartTunnel(l, t.Programs.WireGuardGo, netlab.TunnelConfig{
		Name: t.Unique("outer"), PrivateKey: t.relays.OuterKey,
		Addrs: e2e.Prefixes(e2e.Outer().V4.String() + "/32"),
		// The route to the exit is there before the inner tunnel: wireguard-go
		// caches the source address of its endpoint.
		Routes: e2e.Prefixes(nearNet, e2e.ExitAddr().V4.String()+"/32"),
		Peers: []netlab.TunnelPeer{{
			PublicKey:  t.relays.EntryKey.Public(),
			Endpoint:   netip.AddrPortFrom(e2e.EntryAddr().V4, e2e.EntryPort),
			AllowedIPs: e2e.Prefixes("0.0.0.0/0"),
		}},
	})
}

func wireguardGo() subject {
	return subject{"wireguard-go", func(l *lab, t *testbed) *client {
		return &client{processes: []*netlab.Process{outer(l, t).Process}}
	}}
}

func nested() subject {
	return subject{"nested wireguard-go", func(l *lab, t *testbed) *client {
		first := outer(l, t)
		second := t.Client.StartTunnel(l, t.Programs.WireGuardGo, netlab.TunnelConfig{
			Name: t.Unique("inner"), PrivateKey: t.relays.InnerKey, MTU: 1420 - 60,
			Addrs:  e2e.Prefixes(e2e.Inner().V4.String() + "/32"),
			Routes: e2e.Prefixes(farNet),
			Peers: []netlab.TunnelPeer{{
				PublicKey:  t.relays.ExitKey.Public(),
				Endpoint:   netip.AddrPortFrom(e2e.ExitAddr().V4, e2e.ExitPort),
				AllowedIPs: e2e.Prefixes("0.0.0.0/0"),
			}},
		})
		return &client{processes: []*netlab.Process{first.Process, second.Process}}
	}}
}

// peer is a command of the user's: "NAME=COMMAND", run by sh in the client's
// namespace with ENTRY and EXIT, the paths of two wg-quick files, TUN, a name for
// its interface, and TARGET, the prefix that it has to route through both.
func peer(s string) (subject, error) {
	name, command, ok := strings.Cut(s, "=")
	if !ok || name == "" || command == "" {
		return subject{}, fmt.Errorf("-peer %q: want NAME=COMMAND", s)
	}
	return subject{name, func(l *lab, t *testbed) *client {
		dir := l.TempDir()
		env := []string{
			"ENTRY=" + t.relays.EntryConf(near(), "198.51.100.2/32").Write(l, dir, "entry.conf"),
			"EXIT=" + t.relays.ExitConf(near(), farNet).Write(l, dir, "exit.conf"),
			"TUN=" + t.Unique("peer"), "TARGET=" + farNet,
		}
		return &client{processes: []*netlab.Process{t.Client.Start(l, env, "/bin/sh", "-c", command)}}
	}}, nil
}

// ready waits until addr answers through c's tunnels.
func (t *testbed) ready(l *lab, c *client, addr netip.Addr) {
	p, err := newPinger(t.Client, addr)
	if err != nil {
		l.Fatal(err)
	}
	defer p.close()
	if !p.wait(30 * time.Second) {
		l.Fatalf("%v does not answer; output of the client:\n%s", addr, c.output())
	}
}
