package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"

	"multihop/tun"
)

// A responder is a WireGuard peer on a loopback address, with a TUN in memory.
type responder struct {
	tun      *tun.Memory
	public   Key
	endpoint netip.AddrPort
}

// respond starts one for a client with that key.
func respond(t *testing.T, addr string, client Key) *responder {
	t.Helper()
	key := NewPrivateKey()
	r := &responder{tun: tun.NewMemory(nil), public: key.Public()}
	port := uint16(0)
	bind := conn.NewStdNetBind()
	dev := device.NewDevice(r.tun, &portTeller{bind, &port}, device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(dev.Close)
	must(t, dev.IpcSet(fmt.Sprintf("private_key=%s\npublic_key=%s\nallowed_ip=0.0.0.0/0\n", key.hex(), client.hex())))
	must(t, dev.Up())
	r.endpoint = netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	return r
}

// A portTeller notes the port that its bind chose.
type portTeller struct {
	conn.Bind
	port *uint16
}

func (p *portTeller) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	fns, actual, err := p.Bind.Open(port)
	*p.port = actual
	return fns, actual, err
}

// onLoopback runs a router of one hop, over real UDP sockets, whose peers have
// 10.7.0.0/24, 10.7.1.0/24 and so on.
func onLoopback(t *testing.T, o *Options, hop Hop) (*Router, *tun.Memory) {
	t.Helper()
	hop.Name, hop.Addrs = "hop", addrs("10.9.0.2")
	cfg := Config{Hops: []Hop{hop}}
	for _, p := range hop.Peers {
		cfg.Routes = append(cfg.Routes, Route{Prefix: p.AllowedIPs[0], Hop: "hop"})
	}
	plan, err := Compile(cfg)
	must(t, err)
	r, dev := New(o), tun.NewMemory(nil)
	must(t, r.SetTUN(dev))
	must(t, r.Apply(context.Background(), plan))
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	t.Cleanup(func() {
		must(t, r.Close())
		must(t, <-done)
	})
	return r, dev
}

func peerAt(r *responder, i byte) Peer {
	return Peer{PublicKey: r.public, Endpoint: r.endpoint.String(), AllowedIPs: []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 7, i, 0}), 24),
	}}
}

// TestBothFamilies: a hop on the host's network has peers of IPv4 and IPv6.
func TestBothFamilies(t *testing.T) {
	if !bothFamilies {
		t.Skip("this system's bind has one family")
	}
	key := NewPrivateKey()
	peers := []*responder{respond(t, "127.0.0.1", key.Public()), respond(t, "::1", key.Public())}
	_, dev := onLoopback(t, nil, Hop{PrivateKey: key, Peers: []Peer{peerAt(peers[0], 0), peerAt(peers[1], 1)}})
	bufs, sizes := [][]byte{make([]byte, 2048)}, make([]int, 1)
	for i := range 40 { // in turn: a pooled address of the other family would show
		to := byte(i % 2)
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, to, 1}), 7)
		dev.Inject([][]byte{udp(netip.MustParseAddrPort("10.9.0.2:4000"), dst, []byte{byte(i)})})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		n, err := peers[to].tun.ReadPackets(ctx, bufs, sizes)
		cancel()
		if err != nil || n != 1 || bufs[0][28] != byte(i) {
			t.Fatalf("packet %d did not reach peer %d: %v", i, to, err)
		}
	}
}

// TestControl: Options.Control is called for each socket of a hop on the host's
// network, again at each rebind, and its error is one of the hop.
func TestControl(t *testing.T) {
	var calls atomic.Int32
	var fail atomic.Bool
	refused := errors.New("refused")
	key := NewPrivateKey()
	r, _ := onLoopback(t, &Options{Control: func(network, _ string, c syscall.RawConn) error {
		if calls.Add(1); fail.Load() {
			return fmt.Errorf("%s: %w", network, refused)
		}
		return nil
	}}, Hop{PrivateKey: key, Peers: []Peer{peerAt(respond(t, "127.0.0.1", key.Public()), 0)}})
	up := func() bool { s := r.Status(); return len(s.Hops) == 1 && !s.Hops[0].Down }
	eventually(t, 5*time.Second, "up", up)
	first := calls.Load()
	if first == 0 {
		t.Fatal("Control was not called")
	}
	must(t, r.NetworkChanged())
	if got := calls.Load(); got != 2*first {
		t.Errorf("%d calls after a rebind, want %d", got, 2*first)
	}
	fail.Store(true)
	if err := r.NetworkChanged(); !errors.Is(err, refused) {
		t.Errorf("NetworkChanged: %v, want the error of Control", err)
	}
	eventually(t, 5*time.Second, "down", func() bool { return !up() })
	fail.Store(false)
	eventually(t, 20*time.Second, "up again", up)
}

// TestRootPathMTU: what a socket learns of its path lowers the hop, and what it
// carries.
func TestRootPathMTU(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	if _, ok := l.exchange(netip.MustParseAddr("198.51.100.7"), 10*time.Second); !ok {
		t.Fatal("no path")
	}
	l.r.pathMTU("nobody")(1300, entryAddr)
	l.r.pathMTU("entry")(1300, entryAddr)
	eventually(t, 5*time.Second, "the smaller MTUs", func() bool {
		return l.hop("entry").MTU == 1240 && l.hop("exit").MTU == 1180
	})
	l.r.pathMTU("entry")(1400, entryAddr)
	time.Sleep(50 * time.Millisecond)
	if got := l.hop("entry").MTU; got != 1240 {
		t.Errorf("MTU %d: it was raised", got)
	}
}
