package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device" //nolint:depguard // it is measured, too

	"multihop/internal/memnet"
	"multihop/packet"
	"multihop/router"
	"multihop/tun"
)

// inMemory is the section of what is measured without root.
const inMemory = 6

// A memoryLab is an internet in memory: relays, each the carrier of the next,
// and a site behind the last one that counts packets.
type memoryLab struct {
	net    *memnet.Net
	relays []*memnet.Relay
	site   *memnet.Host
	got    atomic.Int64
	keys   []router.Key // the client's, by hop
}

func relayAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }
func innerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 64, byte(i), 2}) }
func siteAddr() netip.Addr       { return netip.AddrFrom4([4]byte{203, 0, 113, 1}) }
func siteNet() netip.Prefix      { return netip.PrefixFrom(siteAddr(), 24).Masked() }

func newMemoryLab(l *lab, hops int) *memoryLab {
	m := &memoryLab{net: memnet.New()}
	for i := range hops {
		r, err := m.net.NewRelay(fmt.Sprint("relay", i), []netip.Addr{relayAddr(i)}, nil)
		if err != nil {
			l.Fatal(err)
		}
		key := router.NewPrivateKey()
		if err := errors.Join(r.Add(memnet.Client{PublicKey: key.Public(), Addrs: []netip.Addr{innerAddr(i)}}), r.Start()); err != nil {
			l.Fatal(err)
		}
		l.Cleanup(r.Stop)
		m.relays, m.keys = append(m.relays, r), append(m.keys, key)
	}
	var err error
	if m.site, err = m.net.Attach("site", func(pkts [][]byte) int {
		m.got.Add(int64(len(pkts)))
		return len(pkts)
	}, siteNet()); err != nil {
		l.Fatal(err)
	}
	return m
}

// startRouter runs multihop with all hops.
func (m *memoryLab) startRouter(l *lab) *tun.Memory {
	var cfg router.Config
	for i, relay := range m.relays {
		h := router.Hop{
			Name: fmt.Sprint("hop", i), PrivateKey: m.keys[i], Addrs: []netip.Addr{innerAddr(i)},
			Peers: []router.Peer{{PublicKey: relay.PublicKey(), Endpoint: relay.Endpoint().String(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}},
		}
		if i > 0 {
			h.Via = cfg.Hops[i-1].Name
		}
		cfg.Hops = append(cfg.Hops, h)
	}
	cfg.Routes = []router.Route{{Prefix: siteNet(), Hop: cfg.Hops[len(cfg.Hops)-1].Name}}
	cfg.Addrs = []netip.Addr{innerAddr(len(m.relays) - 1)}
	plan, err := router.Compile(cfg)
	if err != nil {
		l.Fatal(err)
	}
	r := router.New(&router.Options{Bind: func(string) conn.Bind { return m.net.Bind(netip.AddrFrom4([4]byte{198, 51, 100, 1})) }})
	dev := tun.NewMemory(nil)
	ctx, cancel := context.WithCancel(context.Background())
	if err := errors.Join(r.SetTUN(dev), r.Apply(ctx, plan)); err != nil {
		l.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	l.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.Error(err)
		}
	})
	return dev
}

// startDevice runs wireguard-go with the first hop.
func (m *memoryLab) startDevice(l *lab) *tun.Memory {
	dev := tun.NewMemory(nil)
	d := device.NewDevice(dev, m.net.Bind(netip.AddrFrom4([4]byte{198, 51, 100, 1})), device.NewLogger(device.LogLevelSilent, ""))
	l.Cleanup(d.Close)
	relay := m.relays[0]
	private, public := m.keys[0], relay.PublicKey()
	if err := errors.Join(d.IpcSet(fmt.Sprintf("private_key=%x\npublic_key=%x\nendpoint=%v\nallowed_ip=0.0.0.0/0\n", private[:], public[:], relay.Endpoint())), d.Up()); err != nil {
		l.Fatal(err)
	}
	return dev
}

// memory measures without root: packets through routers and relays that all
// share this process. What it costs is the time of all of them.
func (r *rounds) memory() error {
	type subject struct {
		name  string
		hops  int
		start func(m *memoryLab, l *lab) *tun.Memory
	}
	subjects := []subject{{"wireguard-go", 1, (*memoryLab).startDevice}}
	for _, n := range []int{1, 2, 3, 4, 8} {
		subjects = append(subjects, subject{"multihop", n, (*memoryLab).startRouter})
	}
	begun := time.Now()
	for round := range r.o.most {
		for _, s := range subjects {
			r.o.progress("in memory, round %d: %s, %d hops", round+1, s.name, s.hops)
			if err := inLab("in memory", func(l *lab) {
				k := key{Section: inMemory, Case: fmt.Sprintf("in memory, %d hops", s.hops), Subject: s.name}
				m := newMemoryLab(l, s.hops)
				before := heap()
				dev := s.start(m, l)
				for _, size := range []int{64, 900} {
					m.measure(l, r, k, dev, size)
				}
				r.add(k, "heap", "MiB", (heap()-before)/(1<<20))
			}); err != nil {
				return err
			}
		}
		if round+1 >= r.o.least && r.rec.settled(inMemory, nil, "900 bytes up", "900 bytes down") || r.enough(round+1, begun) {
			break
		}
	}
	return nil
}

// measure moves packets of size bytes, with a bounded number on their way: the
// wires drop what a queue cannot hold.
func (m *memoryLab) measure(l *lab, r *rounds, k key, dev *tun.Memory, size int) {
	mine := innerAddr(len(m.relays) - 1)
	out := datagram(mine, siteAddr(), size)
	m.flow(l, func(n int) { _ = dev.Inject(repeat(out, n)) }, &m.got, 10*time.Millisecond) // handshakes
	before := processCPU()
	n, took := m.flow(l, func(n int) { _ = dev.Inject(repeat(out, n)) }, &m.got, r.o.transferTime)
	name := fmt.Sprintf("%d bytes up", size)
	r.add(k, name, "packets/s", float64(n)/took.Seconds())
	r.add(k, name+", CPU", "us/packet", (processCPU()-before).Seconds()*1e6/float64(n))

	var got atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		bufs, sizes := make([][]byte, 128), make([]int, 128)
		for i := range bufs {
			bufs[i] = make([]byte, 2048)
		}
		for {
			n, err := dev.ReadPackets(ctx, bufs, sizes)
			if err != nil {
				return
			}
			got.Add(int64(n))
		}
	}()
	back := datagram(siteAddr(), mine, size)
	before = processCPU()
	n, took = m.flow(l, func(n int) { m.site.Send(repeat(back, n)) }, &got, r.o.transferTime)
	cancel()
	<-done
	name = fmt.Sprintf("%d bytes down", size)
	r.add(k, name, "packets/s", float64(n)/took.Seconds())
	r.add(k, name+", CPU", "us/packet", (processCPU()-before).Seconds()*1e6/float64(n))
}

// flow keeps up to 256 packets on their way for d, and returns how many arrived.
func (m *memoryLab) flow(l *lab, send func(n int), got *atomic.Int64, d time.Duration) (int64, time.Duration) {
	const most = 256
	first := got.Load()
	start := time.Now()
	sent, last, moved := first, first, start
	for {
		now := got.Load()
		if now != last {
			last, moved = now, time.Now()
		} else if time.Since(moved) > 300*time.Millisecond {
			if sent = now; time.Since(start) > 20*time.Second { // lost
				l.Fatal("nothing arrives")
			}
			moved = time.Now()
		}
		if time.Since(start) >= d && now > first {
			return now - first, time.Since(start)
		}
		if room := most - (sent - now); room >= most/4 {
			n := min(room, 64)
			send(int(n))
			sent += n
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// repeat returns n copies of a packet, which share it: no receiver of the wires
// changes what it is given.
func repeat(pkt []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = pkt
	}
	return all
}

// datagram returns a whole packet of size bytes.
func datagram(src, dst netip.Addr, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b[28:], 1)
	packet.PutUDP(b, netip.AddrPortFrom(src, 4000), netip.AddrPortFrom(dst, 4000), size-28, true)
	return b
}
