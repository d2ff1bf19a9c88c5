package router

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/packet"
)

// batch is the number of packets that go through a bench at once.
const batch = 64

// wgOffset is where wireguard-go keeps a packet in its array.
const wgOffset = device.MessageTransportHeaderSize

// A sinkTUN is a TUN that counts what is written to it.
type sinkTUN struct{ packets int }

var _ wgtun.Device = (*sinkTUN)(nil)

func (s *sinkTUN) Write(bufs [][]byte, _ int) (int, error) {
	s.packets += len(bufs)
	return len(bufs), nil
}
func (s *sinkTUN) Read([][]byte, []int, int) (int, error) { return 0, os.ErrClosed }
func (s *sinkTUN) File() *os.File                         { return nil }
func (s *sinkTUN) MTU() (int, error)                      { return 1420, nil }
func (s *sinkTUN) Name() (string, error)                  { return "sink", nil }
func (s *sinkTUN) Events() <-chan wgtun.Event             { return nil }
func (s *sinkTUN) BatchSize() int                         { return batch }
func (s *sinkTUN) Close() error                           { return nil }

// A sinkBind is a socket that counts what is sent.
type sinkBind struct {
	conn.Bind
	datagrams int
}

func (s *sinkBind) Send(bufs [][]byte, _ conn.Endpoint) error { s.datagrams += len(bufs); return nil }

// A bench is the data path of an entry and an exit without devices: what they
// would read and write, the tests do.
type bench struct {
	r           *Router
	entry, exit *port
	tun         *sinkTUN
	socket      *sinkBind // under the entry
	to          conn.Endpoint
	linkAddr    netip.AddrPort

	bufs   [][]byte // as wireguard-go's
	sizes  []int
	depart *departure
	goesUp [][]byte // packets of the host, alternately for the exit and the entry
}

func newBench(t testing.TB) *bench {
	t.Helper()
	r := New(nil)
	b := &bench{r: r, tun: &sinkTUN{}, socket: &sinkBind{}, bufs: arrays(batch), sizes: make([]int, batch), depart: newDeparture(batch)}
	r.tun.Store(&tunSet{dev: b.tun, name: "sink"})
	at := []netip.AddrPort{netip.AddrPortFrom(exitAddr, 51820)}
	peers := []Peer{{AllowedIPs: everything, Endpoint: at[0].String()}}
	entry := newHop(r, Hop{Name: "entry", MTU: 1420, Addrs: addrs("10.1.0.2", "fd01::2"), Peers: peers}, nil)
	exit := newHop(r, Hop{Name: "exit", Via: "entry", MTU: 1360, Addrs: addrs("10.2.0.2", "fd02::2"), Peers: peers}, entry)
	tab := tableOf(t, addrs("192.0.2.1", "2001:db8::1"), []Route{
		{Prefix: farNet, Hop: "exit"}, {Prefix: nearNet, Hop: "entry"}, {Prefix: nearNet6, Hop: "entry"},
	}, entry, exit)
	r.table.Store(tab)
	b.entry, b.exit = newPort(entry), newPort(exit)
	b.entry.bind = &meteredBind{transport: b.socket, port: b.entry}
	l := &link{child: exit}
	b.exit.link, b.exit.bind = l, &meteredBind{transport: l, port: b.exit}
	entry.port.Store(b.entry)
	exit.port.Store(b.exit)
	_, linkPort, err := b.exit.bind.Open(0)
	must(t, err)
	b.to = &linkEndpoint{at[0]}
	b.linkAddr = netip.AddrPortFrom(entry.addr4, linkPort)
	for i := range batch {
		dst, n := farNet.Addr().Next(), 1360
		if i%2 == 1 {
			dst, n = nearNet.Addr().Next(), 1420
		}
		b.goesUp = append(b.goesUp, udp(netip.AddrPortFrom(tab.tun4, 4000), netip.AddrPortFrom(dst, 7), make([]byte, n-28)))
	}
	return b
}

// routeAll sends the batch of the host through the router's own part of the way.
func (b *bench) routeAll() {
	for i, pkt := range b.goesUp {
		b.depart.sizes[i] = copy(b.depart.bufs[i][readOffset:], pkt)
	}
	b.r.route(b.depart, len(b.goesUp))
}

// encrypt does what a device does with packets of its port, but for the
// cryptography: Read, a type 4 header and a tag, Send.
func (b *bench) encrypt(t testing.TB, p *port) int {
	if p.in.Len() == 0 {
		t.Fatalf("nothing waits for hop %s; it dropped %v, the router %v", p.hop.name, p.hop.drops.snapshot(), b.r.drops.snapshot())
	}
	n, err := p.Read(b.bufs, b.sizes, wgOffset)
	must(t, err)
	out := b.list(n)
	for i := range n {
		binary.LittleEndian.PutUint32(b.bufs[i], device.MessageTransportType)
		out[i] = b.bufs[i][:wgOffset+b.sizes[i]+16]
	}
	must(t, p.bind.Send(out, b.to))
	return n
}

// list returns a list of n slices that is free.
func (b *bench) list(n int) [][]byte { return b.depart.list[:n:batch] }

// inbound fills the buffers with a packet each, as decrypted, and returns them.
func (b *bench) inbound(pkts [][]byte) [][]byte {
	out := b.list(len(pkts))
	for i, pkt := range pkts {
		out[i] = b.bufs[i][:wgOffset+copy(b.bufs[i][wgOffset:], pkt)]
	}
	return out
}

// toHop returns a batch of packets from a host behind a hop to the hop.
func toHop(p *port, src netip.Addr) [][]byte {
	var pkts [][]byte
	for range batch {
		pkts = append(pkts, udp(netip.AddrPortFrom(src, 7), netip.AddrPortFrom(p.hop.addr(src), 4000), make([]byte, 1000)))
	}
	return pkts
}

// TestAllocsOutbound: from a batch of the TUN, through the exit's port, its
// link and the entry's port, to the socket, nothing of ours allocates.
func TestAllocsOutbound(t *testing.T) {
	b := newBench(t)
	sent := 0
	once := func() {
		b.routeAll()
		if n := b.encrypt(t, b.exit); n != batch/2 {
			t.Fatalf("%d packets through the exit", n)
		}
		if n := b.encrypt(t, b.entry); n != batch {
			t.Fatalf("%d packets through the entry", n)
		}
		sent += batch
	}
	for range 2 * ringSlots / batch * 2 { // every slot gets its buffer
		once()
	}
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations a batch of %d packets", n, batch)
	}
	if b.socket.datagrams != sent {
		t.Errorf("%d datagrams left, want %d", b.socket.datagrams, sent)
	}
	for _, p := range []*port{b.entry, b.exit} {
		if got := p.hop.drops.snapshot(); len(got) != 0 {
			t.Errorf("hop %s dropped %v", p.hop.name, got)
		}
		if f := p.peers.Load().out[0]; f.in.Load() != f.out.Load() || f.in.Load() == 0 {
			t.Errorf("hop %s: in %d, out %d", p.hop.name, f.in.Load(), f.out.Load())
		}
	}
}

// TestAllocsInbound: from a port's Write to the TUN's, and to a link's receive
// function, nothing of ours allocates.
func TestAllocsInbound(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	b := newBench(t)
	user := toHop(b.entry, nearNet.Addr().Next())
	var forLink, mixed [][]byte
	for i := range batch {
		datagram := make([]byte, 1100)
		datagram[0] = device.MessageTransportType
		forLink = append(forLink, udp(netip.AddrPortFrom(exitAddr, 51820), b.linkAddr, datagram))
		mixed = append(mixed, [][]byte{user[i], forLink[i]}[i%2])
	}
	s := b.exit.link.cur.Load()
	rx, lens := arrays(batch), make([]int, batch)
	var from netip.AddrPort
	drain := func() (n int) {
		for s.rx.Len() > 0 {
			got, err := s.receive(rx, lens, func(_ int, a netip.AddrPort) { from = a })
			must(t, err)
			n += got
		}
		return n
	}
	for _, tt := range []struct {
		name        string
		port        *port
		pkts        [][]byte
		tun, socket int // packets of a batch that reach them
	}{
		{"for the TUN", b.entry, user, batch, 0},
		{"for the TUN, through the exit", b.exit, toHop(b.exit, farNet.Addr().Next()), batch, 0},
		{"for the link", b.entry, forLink, 0, batch},
		{"for both", b.entry, mixed, batch / 2, batch / 2},
		{"forged", b.entry, toHop(b.entry, farNet.Addr().Next()), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			once := func() {
				before := b.tun.packets
				if n, err := tt.port.Write(b.inbound(tt.pkts), wgOffset); n != batch || err != nil {
					t.Fatal(n, err)
				}
				if n := b.tun.packets - before; n != tt.tun {
					t.Fatalf("%d packets reached the TUN, want %d", n, tt.tun)
				}
				if n := drain(); n != tt.socket {
					t.Fatalf("%d datagrams reached the link, want %d", n, tt.socket)
				}
			}
			for range 2 * linkSlots / batch * 2 {
				once()
			}
			if n := testing.AllocsPerRun(100, once); n != 0 {
				t.Errorf("%v allocations a batch of %d packets", n, batch)
			}
		})
	}
	if from != netip.AddrPortFrom(exitAddr, 51820) {
		t.Errorf("datagrams from %v", from)
	}
}

// TestAllocsWindow: receiving and sending data under the window allocates
// nothing.
func TestAllocsWindow(t *testing.T) {
	b := newBench(t)
	b.entry.bind.done = make(chan struct{})
	for i := range b.bufs {
		b.bufs[i][0], b.sizes[i] = device.MessageTransportType, 1452
	}
	receive := b.entry.bind.receive(func(bufs [][]byte, sizes []int, _ []conn.Endpoint) (int, error) {
		for i := range sizes {
			sizes[i] = 1452
		}
		return len(bufs), nil
	}, b.entry.bind.done)
	once := func() {
		n, err := receive(b.bufs, b.sizes, nil)
		must(t, err)
		b.entry.inbound.leave(b.entry.inbound.in.Load())
		if n != batch {
			t.Fatal(n)
		}
	}
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// crowds are the tables and destinations of benchmarks. Of a million prefixes it
// is the caches that cost, and so the number of destinations: a host has dozens at
// a time.
var crowds = []struct {
	name               string
	prefixes, destined int
}{
	{"prefixes=10", 10, 4096},
	{"prefixes=1000", 1000, 4096},
	{"prefixes=1000000", 1_000_000, 4096},
	{"prefixes=1000000,destinations=64", 1_000_000, 64},
}

// BenchmarkOutbound is the cost of parsing a packet of the host, finding its
// route among so many prefixes, and translating it.
func BenchmarkOutbound(b *testing.B) {
	for _, c := range crowds {
		b.Run(c.name, func(b *testing.B) { outbound(b, c.prefixes, c.destined, false) })
	}
}

// BenchmarkOutbound6 is likewise, of IPv6.
func BenchmarkOutbound6(b *testing.B) {
	for _, c := range crowds {
		b.Run(c.name, func(b *testing.B) { outbound(b, c.prefixes, c.destined, true) })
	}
}

func outbound(b *testing.B, prefixes, destined int, six bool) {
	t, pkts := manyRoutes(b, prefixes, destined, six)
	work := make([]byte, 1500)
	var m packet.Meta
	seen := new(recent)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		pkt := work[:copy(work, pkts[i&(len(pkts)-1)])]
		i++
		v, why := t.classify(pkt, &m, seen)
		if why == delivered {
			why = v.translate(pkt, &m)
		}
		if why != delivered {
			b.Fatal(why)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/packet")
}

// manyRoutes returns a table of n prefixes of a family, and small packets, each to
// another address in them. destined is a power of 2.
func manyRoutes(b *testing.B, n, destined int, six bool) (*table, [][]byte) {
	b.Helper()
	r := New(nil)
	rnd := rand.New(rand.NewPCG(1, 1))
	var hops []*hop
	var routes []Route
	for i := range 8 {
		hops = append(hops, newHop(r, Hop{Name: fmt.Sprint("h", i), MTU: 1420, Addrs: []netip.Addr{
			netip.AddrFrom4([4]byte{10, byte(i), 0, 2}), netip.AddrFrom16([16]byte{0xfd, byte(i), 15: 2}),
		}}, nil))
	}
	seen := make(map[netip.Prefix]bool, n)
	for len(seen) < n {
		var p netip.Prefix
		if six {
			var a [16]byte
			binary.BigEndian.PutUint64(a[:], 1<<61|rnd.Uint64()>>3) // of 2000::/3
			p = netip.PrefixFrom(netip.AddrFrom16(a), 32+rnd.IntN(17)).Masked()
		} else {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], rnd.Uint32())
			if a[0] == 0 || a[0] >= 224 {
				continue
			}
			p = netip.PrefixFrom(netip.AddrFrom4(a), 16+rnd.IntN(13)).Masked()
		}
		if !seen[p] {
			seen[p] = true
			routes = append(routes, Route{Prefix: p, Hop: hops[rnd.IntN(len(hops))].name})
		}
	}
	t := tableOf(b, addrs("192.0.2.1", "fd00::1"), routes, hops...)
	pkts := make([][]byte, destined)
	for i := range pkts {
		dst := routes[rnd.IntN(n)].Prefix.Addr().Next()
		pkts[i] = udp(netip.AddrPortFrom(t.tunAddr(dst), 4000), netip.AddrPortFrom(dst, 7), make([]byte, 36))
	}
	return t, pkts
}

// BenchmarkRoute is the whole way of a batch from the TUN's buffers into the
// rings of two hops, copies of about 1,400 bytes among it.
func BenchmarkRoute(b *testing.B) {
	x := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		x.routeAll()
		for _, p := range []*port{x.entry, x.exit} {
			v := p.in.Peek(batch)
			v.Release(v.N)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
}

// BenchmarkLink is the cost of encapsulating a datagram of an exit into its
// carrier's ring.
func BenchmarkLink(b *testing.B) {
	x := newBench(b)
	out := x.list(batch)
	for i := range out {
		binary.LittleEndian.PutUint32(x.bufs[i], device.MessageTransportType)
		out[i] = x.bufs[i][:1392]
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, x.exit.link.Send(out, x.to))
		v := x.entry.in.Peek(batch)
		v.Release(v.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/datagram")
}

// BenchmarkInbound is the cost of what a hop's device decrypted: parsing, the
// reverse path, translation.
func BenchmarkInbound(b *testing.B) {
	x := newBench(b)
	pkts := toHop(x.entry, nearNet.Addr().Next())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.entry.Write(x.inbound(pkts), wgOffset); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
	if x.tun.packets == 0 {
		b.Fatal("nothing reached the TUN")
	}
}
