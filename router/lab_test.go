package router

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/memnet"
	"multihop/packet"
	"multihop/tun"
)

// Addresses of the laboratory: an entry, an exit that it carries, a sibling
// that it carries too, and hosts that every relay reaches. All of them from
// documentation ranges but for the tunnel addresses.
var (
	clientAddr  = netip.MustParseAddr("192.0.2.1")
	clientAddr6 = netip.MustParseAddr("2001:db8::1")

	entryAddr   = netip.MustParseAddr("192.0.2.10")
	exitAddr    = netip.MustParseAddr("192.0.2.20")
	siblingAddr = netip.MustParseAddr("192.0.2.30")

	entryTunnel    = netip.MustParseAddr("10.1.0.2")
	exitTunnel     = netip.MustParseAddr("10.2.0.2")
	siblingTunnel  = netip.MustParseAddr("10.3.0.2")
	entryTunnel6   = netip.MustParseAddr("fd01::2")
	exitTunnel6    = netip.MustParseAddr("fd02::2")
	siblingTunnel6 = netip.MustParseAddr("fd03::2")

	farNet  = netip.MustParsePrefix("198.51.100.0/24") // through the exit
	nearNet = netip.MustParsePrefix("203.0.113.0/24")  // through the entry
	farNet6 = netip.MustParsePrefix("2001:db8:f::/48")

	everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
)

// A lab is a router between a TUN in memory and an internet in memory.
type lab struct {
	t                    testing.TB
	net                  *memnet.Net
	entry, exit, sibling *memnet.Relay
	tun                  *tun.Memory
	r                    *Router
	cfg                  Config
	done                 chan error

	token atomic.Uint64 // of the next exchange

	mu   sync.Mutex
	seen map[string]netip.Addr // payload of what arrived at the far and near hosts, to its source
}

func newLab(t testing.TB, o *Options) *lab {
	t.Helper()
	l := &lab{t: t, net: memnet.New(), seen: make(map[string]netip.Addr), done: make(chan error, 1)}
	relay := func(name string, addr netip.Addr) *memnet.Relay {
		r, err := l.net.NewRelay(name, []netip.Addr{addr}, &memnet.RelayOptions{MTU: 1420})
		must(t, err)
		must(t, r.Start())
		t.Cleanup(r.Stop)
		return r
	}
	l.entry, l.exit, l.sibling = relay("entry", entryAddr), relay("exit", exitAddr), relay("sibling", siblingAddr)
	hop := func(name, via string, r *memnet.Relay, addrs ...netip.Addr) Hop {
		key := NewPrivateKey()
		psk := NewPresharedKey()
		must(t, r.Add(memnet.Client{PublicKey: key.Public(), PresharedKey: psk, Addrs: addrs, AllowedIPs: everything}))
		return Hop{Name: name, Via: via, PrivateKey: key, Addrs: addrs, Peers: []Peer{{
			PublicKey: r.PublicKey(), PresharedKey: psk, Endpoint: r.Endpoint().String(), AllowedIPs: everything,
		}}}
	}
	l.cfg = Config{
		Hops: []Hop{
			hop("entry", "", l.entry, entryTunnel, entryTunnel6),
			hop("exit", "entry", l.exit, exitTunnel, exitTunnel6),
			hop("sibling", "entry", l.sibling, siblingTunnel, siblingTunnel6),
		},
		Routes: []Route{{Prefix: farNet, Hop: "exit"}, {Prefix: nearNet, Hop: "entry"}, {Prefix: farNet6, Hop: "exit"}},
	}
	var host *memnet.Host
	host, err := l.net.Attach("hosts", func(pkts [][]byte) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, p := range pkts {
			var m packet.Meta
			if m.Parse(p) != packet.OK {
				continue
			}
			if payload, ok := packet.UDPPayload(p, &m); ok && m.Proto == packet.ProtoUDP {
				l.seen[string(payload)] = m.Src
				go host.Send([][]byte{udp(netip.AddrPortFrom(m.Dst, m.DstPort), netip.AddrPortFrom(m.Src, m.SrcPort), payload)})
			}
		}
		return len(pkts)
	}, farNet, nearNet, farNet6)
	must(t, err)

	if o == nil {
		o = &Options{}
	}
	if o.Bind == nil {
		o.Bind = func(string) conn.Bind { return l.net.Bind(clientAddr, clientAddr6) }
	}
	if os.Getenv("MULTIHOP_TEST_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	l.r = New(o)
	l.tun = tun.NewMemory(&tun.MemoryOptions{Name: "lab", MTU: 1420})
	must(t, l.r.SetTUN(l.tun))
	return l
}

// start applies the lab's configuration and runs the router until the test ends.
func (l *lab) start() {
	l.t.Helper()
	l.apply()
	go func() { l.done <- l.r.Run(context.Background()) }()
	l.t.Cleanup(func() {
		must(l.t, l.r.Close())
		must(l.t, <-l.done)
	})
}

// ready waits until Run has applied the configuration.
func (l *lab) ready() {
	l.t.Helper()
	eventually(l.t, 5*time.Second, "running", func() bool { return len(l.r.Status().Hops) == len(l.cfg.Hops) })
}

func (l *lab) apply() {
	l.t.Helper()
	p, err := Compile(l.cfg)
	must(l.t, err)
	must(l.t, l.r.Apply(context.Background(), p))
}

// send gives the router a packet as if a program on the host had sent it.
func (l *lab) send(pkts ...[]byte) { l.tun.Inject(pkts) }

// recv waits for one packet that the router wrote to the TUN; nil: none came.
func (l *lab) recv(d time.Duration) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	buf := make([]byte, 65535)
	sizes := []int{0}
	n, err := l.tun.ReadPackets(ctx, [][]byte{buf}, sizes)
	if err != nil || n == 0 {
		return nil
	}
	return buf[:sizes[0]]
}

// exchange sends a datagram and waits for its echo; it reports what the far end
// saw as source.
func (l *lab) exchange(dst netip.Addr, d time.Duration) (src netip.Addr, ok bool) {
	l.t.Helper()
	from := l.tunAddr(dst)
	payload := fmt.Sprintf("ping %d", l.token.Add(1))
	l.send(udp(netip.AddrPortFrom(from, 4000), netip.AddrPortFrom(dst, 7), []byte(payload)))
	for deadline := time.Now().Add(d); time.Now().Before(deadline); {
		pkt := l.recv(time.Until(deadline))
		var m packet.Meta
		if pkt == nil || m.Parse(pkt) != packet.OK || m.Src != dst || m.Dst != from || m.Proto != packet.ProtoUDP {
			continue
		}
		if got, ok := packet.UDPPayload(pkt, &m); ok && string(got) == payload {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.seen[payload], true
		}
	}
	return netip.Addr{}, false
}

func (l *lab) tunAddr(like netip.Addr) netip.Addr {
	for _, a := range l.r.table.Load().addrs {
		if a.Is4() == like.Is4() {
			return a
		}
	}
	if like.Is4() {
		return entryTunnel
	}
	return entryTunnel6
}

func (l *lab) hop(name string) HopStatus {
	for _, h := range l.r.Status().Hops {
		if h.Name == name {
			return h
		}
	}
	l.t.Fatalf("no hop %s", name)
	return HopStatus{}
}

// udp returns a UDP packet.
func udp(src, dst netip.AddrPort, payload []byte) []byte {
	n := packet.UDPOverhead(dst.Addr())
	b := make([]byte, n+len(payload))
	copy(b[n:], payload)
	return b[:packet.PutUDP(b, src, dst, len(payload), true)]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	if !happens(d, ok) {
		t.Fatalf("not within %v: %s", d, what)
	}
}

// happens reports whether ok becomes true within d.
func happens(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
