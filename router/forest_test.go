package router

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/memnet"
	"multihop/router/internal/naive"
	"multihop/tun"
)

// The forest: random trees of hops, with real relays, and random packets in both
// directions. What the relays and the TUN see is compared with package naive.

// A forest is a router over a random configuration, which model describes.
type forest struct {
	t      *testing.T
	rnd    *rand.Rand
	net    *memnet.Net
	relays map[string]*memnet.Relay
	cfg    Config
	model  naive.Forest
	tun    *tun.Memory
	r      *Router

	mu   sync.Mutex
	seen map[uint64]arrived // by tag

	primed map[string]bool // hops that have a session
}

// An arrived packet is what a relay took out of its tunnel.
type arrived struct {
	relay string
	pkt   []byte
}

const (
	forestDepth = 8
	tagMark     = 0xf02e57ac
)

// within are the prefixes that routes and packets of the forest are in.
var forestNets = []netip.Prefix{
	netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("203.0.113.0/28"),
	netip.MustParsePrefix("2001:db8:f::/120"), netip.MustParsePrefix("2001:db8:f0::/124"),
}

func newForest(t *testing.T, seed uint64) *forest {
	f := &forest{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), net: memnet.New(), relays: make(map[string]*memnet.Relay), seen: make(map[uint64]arrived)}
	swallow := func(pkts [][]byte) int { return len(pkts) }
	_, err := f.net.Attach("everybody", swallow, everything...)
	must(t, err)
	f.model.TUN = [][]netip.Addr{addrs("10.0.0.1", "fd00::1"), addrs("10.0.0.1", "fd00::1"), addrs("10.0.0.1", "fd00::1"), addrs("10.0.0.1"), addrs("fd00::1")}[f.rnd.IntN(5)]
	f.cfg.Addrs = f.model.TUN
	depth := map[string]int{"": 0}
	for i := range 3 + f.rnd.IntN(28) {
		via := ""
		if i > 0 && f.rnd.IntN(6) > 0 { // rather deep than broad
			via = f.model.Hops[max(f.rnd.IntN(i), f.rnd.IntN(i))].Name
			if depth[via] == forestDepth {
				via = ""
			}
		}
		if n := len(f.model.Groups); n > 0 && f.rnd.IntN(4) == 0 {
			if g := f.model.Groups[f.rnd.IntN(n)]; depth[g.Name] < forestDepth {
				via = g.Name
			}
		}
		name := "h" + strconv.Itoa(i)
		depth[name] = depth[via] + 1
		f.addHop(i, name, via)
		if i > 1 && f.rnd.IntN(8) == 0 {
			g := f.addGroup()
			depth[g.Name] = max(depth[g.Hops[0]], depth[g.Hops[1]])
		}
	}
	for i := range f.cfg.Hops {
		f.takeDown(i, f.rnd.IntN(8) == 0)
	}
	f.model.Settle()
	f.chooseRoutes()
	return f
}

// addHop adds a hop and its relay.
func (f *forest) addHop(i int, name, via string) {
	h := naive.Hop{Name: name, Via: via, Endpoint: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})}
	if f.rnd.IntN(4) == 0 {
		h.Endpoint = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", 16+i))
	}
	v4, v6 := netip.AddrFrom4([4]byte{10, 1, byte(i), 2}), netip.MustParseAddr(fmt.Sprintf("fd01:%x::2", i+1))
	h.Addrs = []netip.Addr{v4, v6} // as carriers, they need both
	if via == "" {
		if h.MTU = memnet.MTU - 60; h.Endpoint.Is6() {
			h.MTU = memnet.MTU - 80
		}
	} else if f.rnd.IntN(5) == 0 {
		h.MTU = 1280
	}
	relay, err := f.net.NewRelay(name, []netip.Addr{h.Endpoint}, &memnet.RelayOptions{MTU: 1440})
	must(f.t, err)
	must(f.t, relay.Start())
	f.t.Cleanup(relay.Stop)
	relay.Inside().Tap(func(sent bool, pkt []byte) {
		if tag, ok := tagOf(pkt); sent && ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.seen[tag] = arrived{name, bytes.Clone(pkt)}
		}
	})
	key := NewPrivateKey()
	must(f.t, relay.Add(memnet.Client{PublicKey: key.Public(), Addrs: h.Addrs, AllowedIPs: everything}))
	f.relays[name] = relay
	f.model.Hops = append(f.model.Hops, h)
	f.cfg.Hops = append(f.cfg.Hops, Hop{Name: name, Via: via, PrivateKey: key, Addrs: h.Addrs, MTU: h.MTU,
		Peers: []Peer{{PublicKey: relay.PublicKey(), Endpoint: relay.Endpoint().String(), AllowedIPs: everything}}})
}

// addGroup makes a group of two hops.
func (f *forest) addGroup() naive.Group {
	two := f.rnd.Perm(len(f.model.Hops))[:2]
	g := naive.Group{Name: "g" + strconv.Itoa(len(f.model.Groups)), Hops: []string{f.model.Hops[two[0]].Name, f.model.Hops[two[1]].Name}}
	f.model.Groups = append(f.model.Groups, g)
	f.cfg.Groups = append(f.cfg.Groups, Group{Name: g.Name, Hops: g.Hops, Return: time.Hour})
	return g
}

// takeDown takes a hop down, or up again. Its relay stops meanwhile: it would go
// on sending to where the hop was.
func (f *forest) takeDown(i int, down bool) {
	if down {
		f.relays[f.cfg.Hops[i].Name].Stop()
	} else {
		must(f.t, f.relays[f.cfg.Hops[i].Name].Start())
	}
	f.model.Hops[i].Down, f.cfg.Hops[i].Down = down, down
}

// chooseRoutes makes random routes of every kind.
func (f *forest) chooseRoutes() {
	f.model.Routes, f.cfg.Routes = nil, nil
	seen := make(map[netip.Prefix]bool)
	for range 5 + f.rnd.IntN(60) {
		p := netip.PrefixFrom(f.somewhere(), 0)
		within := forestNets[slices.IndexFunc(forestNets, func(n netip.Prefix) bool { return n.Contains(p.Addr()) })]
		p, _ = p.Addr().Prefix(within.Bits() + f.rnd.IntN(p.Addr().BitLen()-within.Bits()+1))
		if seen[p] {
			continue
		}
		seen[p] = true
		m := naive.Route{Prefix: p, Target: f.target()}
		route := Route{Prefix: p, Hop: m.Target, Derived: true}
		switch f.rnd.IntN(4) {
		case 0:
			m.Target, route.Hop = "", ""
		case 1:
			m.Drop, route.OnDown = true, Drop
		case 2:
			if other := f.target(); other != m.Target {
				m.Fallback, route.OnDown, route.Fallback = other, Fallback, other
			}
		}
		f.model.Routes = append(f.model.Routes, m)
		f.cfg.Routes = append(f.cfg.Routes, route)
	}
}

// target returns a hop or, seldom, a group.
func (f *forest) target() string {
	if n := len(f.model.Groups); n > 0 && f.rnd.IntN(5) == 0 {
		return f.model.Groups[f.rnd.IntN(n)].Name
	}
	return f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Name
}

// somewhere returns an address within forestNets.
func (f *forest) somewhere() netip.Addr {
	p := forestNets[f.rnd.IntN(len(forestNets))]
	b := p.Addr().AsSlice()
	b[len(b)-1] |= byte(f.rnd.IntN(1 << min(8, p.Addr().BitLen()-p.Bits())))
	a, _ := netip.AddrFromSlice(b)
	return a
}

// start runs the router.
func (f *forest) start() {
	f.tun = tun.NewMemory(&tun.MemoryOptions{Name: "forest", MTU: 1500})
	f.r = New(&Options{Bind: func(string) conn.Bind { return f.net.Bind(clientAddr, clientAddr6) }})
	must(f.t, f.r.SetTUN(f.tun))
	done := make(chan error, 1)
	f.apply()
	go func() { done <- f.r.Run(context.Background()) }()
	f.t.Cleanup(func() {
		must(f.t, f.r.Close())
		must(f.t, <-done)
	})
	eventually(f.t, 20*time.Second, "running", func() bool { return len(f.r.Status().Hops) == len(f.cfg.Hops) })
}

func (f *forest) apply() {
	p, err := Compile(f.cfg)
	must(f.t, err)
	must(f.t, f.r.Apply(context.Background(), p))
}

// tagOf returns the tag at the end of a packet.
func tagOf(pkt []byte) (uint64, bool) {
	n := len(pkt)
	if n < 12 || binary.BigEndian.Uint32(pkt[n-12:]) != tagMark {
		return 0, false
	}
	return binary.BigEndian.Uint64(pkt[n-8:]), true
}

// payload returns one that ends in a tag.
func (f *forest) payload(tag uint64) []byte {
	n := f.rnd.IntN(100)
	if f.rnd.IntN(3) == 0 {
		n = f.rnd.IntN(1430)
	}
	b := tagged(n+32, tag)
	for i := range len(b) - 12 {
		b[i] = byte(f.rnd.Uint32())
	}
	return b
}

// tagged returns n bytes that end in a tag.
func tagged(n int, tag uint64) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b[len(b)-12:], tagMark)
	binary.BigEndian.PutUint64(b[len(b)-8:], tag)
	return b
}

// packet returns a random packet between two addresses of one family.
func (f *forest) packet(src, dst netip.Addr, tag uint64) []byte {
	b := naive.Build{Src: src, Dst: dst, SrcPort: uint16(1024 + f.rnd.IntN(10000)), DstPort: uint16(1 + f.rnd.IntN(10000)),
		Payload: f.payload(tag), DF: true, NoSum: f.rnd.IntN(8) == 0}
	b.Proto = []byte{17, 17, 17, 6, 6, 1, 47, 132}[f.rnd.IntN(8)]
	if b.Proto == 1 && dst.Is6() {
		b.Proto = 58
	}
	if b.Proto == 6 && f.rnd.IntN(2) == 0 {
		b.SYN = 500 + f.rnd.IntN(1000)
	}
	return b.Packet()
}

// outbound returns a random packet of a program of this host.
func (f *forest) outbound(tag uint64) []byte {
	dst := f.somewhere()
	switch f.rnd.IntN(20) {
	case 0:
		dst = addrs("224.0.0.251", "ff02::fb", "255.255.255.255")[f.rnd.IntN(3)]
	case 1:
		dst = addrs("192.168.77.1", "2001:db8:99::1")[f.rnd.IntN(2)]
	case 2:
		dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Endpoint
	}
	src := addrs("10.0.0.1")[0]
	if dst.Is6() {
		src = addrs("fd00::1")[0]
	}
	if f.rnd.IntN(12) == 0 {
		src = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[0]
		if dst.Is6() {
			src = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[1]
		}
	}
	pkt := f.packet(src, dst, tag)
	if f.rnd.IntN(20) == 0 { // malformed in one way or another
		switch f.rnd.IntN(3) {
		case 0:
			pkt = pkt[:len(pkt)-1-f.rnd.IntN(10)]
		case 1:
			pkt[0] = pkt[0]&0x0f | 0x50
		case 2:
			pkt = pkt[:20+f.rnd.IntN(8)]
		}
	}
	return pkt
}

// inbound returns a random packet of the peer of a hop: honest, or not.
func (f *forest) inbound(h *naive.Hop, tag uint64) []byte {
	src, dst := f.somewhere(), h.Addrs[0]
	for tries := 0; tries < 30 && f.model.Serves(src) != h.Name; tries++ {
		src = f.somewhere() // rather one of its own
	}
	switch f.rnd.IntN(12) {
	case 3, 4:
		src = f.somewhere()
	case 0:
		src = addrs("127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "::", "ff02::1", "240.0.0.1", "192.168.1.1")[f.rnd.IntN(8)]
	case 1:
		other := f.model.Hops[f.rnd.IntN(len(f.model.Hops))]
		src = other.Addrs[f.rnd.IntN(2)]
	case 2:
		src = f.model.TUN[f.rnd.IntN(len(f.model.TUN))]
	}
	if src.Is6() {
		dst = h.Addrs[1]
	}
	switch f.rnd.IntN(10) {
	case 0:
		dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[0]
		if src.Is6() {
			dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[1]
		}
	case 1:
		for _, a := range f.model.TUN {
			if a.Is4() == src.Is4() {
				dst = a
			}
		}
	case 2:
		if dst = addrs("192.168.1.2")[0]; src.Is6() {
			dst = addrs("2001:db8:77::1")[0]
		}
	}
	return f.packet(src, dst, tag)
}

// drops returns every drop counter, summed over the hops.
func (f *forest) drops() map[string]uint64 {
	s := f.r.Status()
	sum := make(map[string]uint64)
	for name, n := range s.Drops {
		sum[name] += n
	}
	for _, h := range s.Hops {
		for name, n := range h.Drops {
			switch name {
			case "device_out", "device_in": // what is under way
			case "carrier_down": // handshakes of hops whose carrier is down
			default:
				sum[name] += n
			}
		}
	}
	return sum
}

// sendOut sends packets and compares each one's fate with the model's.
func (f *forest) sendOut(tags *uint64, n int) (arrivals int, dropped map[string]int) {
	f.t.Helper()
	type expectation struct {
		hop string
		pkt []byte
	}
	want := make(map[uint64]expectation)
	dropped = make(map[string]int)
	before := f.drops()
	var pkts [][]byte
	for range n {
		*tags++
		pkt := f.outbound(*tags)
		hop, out, drop := f.model.Out(pkt)
		f.explain(pkt, hop, out, drop)
		if drop == "" {
			want[*tags] = expectation{hop, out}
		} else {
			dropped[drop]++
		}
		pkts = append(pkts, pkt)
	}
	f.tun.Inject(pkts)
	f.settled("outbound", before, dropped, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.seen) >= len(want)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for tag, w := range want {
		if got := f.seen[tag]; got.relay != w.hop || !bytes.Equal(got.pkt, w.pkt) {
			f.t.Fatalf("the packet arrived at %q as\n% x\nwant %s\n% x", got.relay, got.pkt, w.hop, w.pkt)
		}
	}
	if len(f.seen) != len(want) {
		f.t.Fatalf("%d packets arrived, want %d", len(f.seen), len(want))
	}
	clear(f.seen)
	return len(want), dropped
}

// explain compares what Explain says of the packet's flow with the model.
func (f *forest) explain(pkt []byte, hop string, out []byte, drop string) {
	if drop == "malformed" {
		return
	}
	flow, translated := flowOf(pkt), netip.Addr{}
	if out != nil {
		translated = flowOf(out).Src
	}
	e := f.r.Explain(flow)
	last := ""
	if n := len(e.Path); n > 0 {
		last = e.Path[n-1].Name
	}
	if e.Drop != drop || last != hop || out != nil && e.NAT != translated {
		f.t.Fatalf("of %+v Explain says\n%+v\nwant hop %q, drop %q", flow, e, hop, drop)
	}
}

// flowOf returns the flow of a well-formed packet.
func flowOf(pkt []byte) Flow {
	fl := Flow{Size: len(pkt), DF: true}
	l4 := 20
	if pkt[0]>>4 == 4 {
		fl.Proto, fl.Src, fl.Dst = pkt[9], netip.AddrFrom4([4]byte(pkt[12:16])), netip.AddrFrom4([4]byte(pkt[16:20]))
	} else {
		fl.Proto, fl.Src, fl.Dst, l4 = pkt[6], netip.AddrFrom16([16]byte(pkt[8:24])), netip.AddrFrom16([16]byte(pkt[24:40])), 40
	}
	if fl.Proto == 6 || fl.Proto == 17 || fl.Proto == 132 {
		fl.SrcPort, fl.Port = binary.BigEndian.Uint16(pkt[l4:]), binary.BigEndian.Uint16(pkt[l4+2:])
	}
	return fl
}

// settled waits until the drop counters rose by what is expected, and ok holds.
func (f *forest) settled(what string, before map[string]uint64, dropped map[string]int, ok func() bool) {
	f.t.Helper()
	var now map[string]uint64
	deadline := time.Now().Add(30 * time.Second)
	for {
		now = f.drops()
		same := ok()
		for name := range now {
			same = same && now[name]-before[name] == uint64(dropped[name])
		}
		for name, n := range dropped {
			same = same && now[name]-before[name] == uint64(n)
		}
		if same {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: drops rose from %v to %v, want by %v", what, before, now, dropped)
		}
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond) // for what should not come
}

// sendIn makes the peers of all hops send, and compares.
func (f *forest) sendIn(tags *uint64, n int) (arrivals int, dropped map[string]int) {
	f.t.Helper()
	f.drain(nil) // ICMP errors about earlier packets
	want := make(map[uint64][]byte)
	dropped = make(map[string]int)
	before := f.drops()
	for range n {
		h := &f.model.Hops[f.rnd.IntN(len(f.model.Hops))]
		if !f.primed[h.Name] {
			continue
		}
		*tags++
		pkt := f.inbound(h, *tags)
		if len(pkt) > f.model.MTU(h)-16*forestDepth { // peers with a larger MTU pad beyond what their carriers hold
			continue
		}
		out, drop := f.model.In(h.Name, pkt)
		fl := flowOf(pkt)
		fl.FromHop = h.Name
		if e := f.r.Explain(fl); e.Drop != drop || out != nil && e.NAT != flowOf(out).Dst {
			f.t.Fatalf("of %+v Explain says\n%+v\nwant drop %q", fl, e, drop)
		}
		if drop == "" {
			want[*tags] = out
		} else {
			dropped[drop]++
		}
		f.relays[h.Name].Inject(pkt)
	}
	got := make(map[uint64][]byte)
	f.settled("inbound", before, dropped, func() bool {
		f.drain(got)
		return len(got) >= len(want)
	})
	f.drain(got)
	if len(got) != len(want) {
		f.t.Fatalf("%d packets reached the TUN, want %d", len(got), len(want))
	}
	for tag, w := range want {
		if !bytes.Equal(got[tag], w) {
			f.t.Fatalf("the TUN got\n% x\nwant\n% x", got[tag], w)
		}
	}
	return len(want), dropped
}

// drain takes what waits at the TUN.
func (f *forest) drain(into map[uint64][]byte) {
	bufs, sizes := make([][]byte, 64), make([]int, 64)
	for i := range bufs {
		bufs[i] = make([]byte, 2048)
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		n, err := f.tun.ReadPackets(ctx, bufs, sizes)
		cancel()
		if err != nil {
			return
		}
		for i := range n {
			if tag, ok := tagOf(bufs[i][:sizes[i]]); ok && into != nil {
				into[tag] = bytes.Clone(bufs[i][:sizes[i]])
			}
		}
	}
}

// primeTag is the first tag of packets that only make sessions.
const primeTag = 1 << 40

// prime makes a session through every hop that is not down and can carry what the
// TUN sends, so that packets of its peer can come.
func (f *forest) prime() {
	routes := f.cfg.Routes
	f.cfg.Routes = nil
	to := func(i int) netip.Addr {
		if f.model.TUN[0].Is4() {
			return netip.AddrFrom4([4]byte{100, 64, 0, byte(i)})
		}
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:64::%x", i))
	}
	for i, h := range f.cfg.Hops {
		f.cfg.Routes = append(f.cfg.Routes, Route{Prefix: netip.PrefixFrom(to(i), to(i).BitLen()), Hop: h.Name, Derived: true})
	}
	f.apply()
	f.primed = make(map[string]bool)
	for i, h := range f.cfg.Hops {
		if f.r.Explain(Flow{Dst: to(i)}).Drop != "" {
			continue
		}
		f.primed[h.Name] = true
		pkt := (&naive.Build{Src: f.model.TUN[0], Dst: to(i), Proto: 17, Payload: tagged(32, primeTag+uint64(i))}).Packet()
		began := time.Now()
		for sent := (time.Time{}); !f.took(primeTag+uint64(i), h.Name); time.Sleep(2 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				f.t.Fatalf("no session of hop %s: %+v", h.Name, f.r.Status().Hops)
			}
			if time.Since(sent) > 10*time.Second {
				sent = time.Now()
				f.tun.Inject([][]byte{pkt})
			}
		}
	}
	f.cfg.Routes = routes
	f.apply()
	f.model.Settle()
}

// took reports whether a relay got a packet.
func (f *forest) took(tag uint64, relay string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[tag].relay != relay {
		return false
	}
	delete(f.seen, tag)
	return true
}

// detect is the detector: a model that is wrong about one route says something
// else of a packet to it than what was just found to be so.
func (f *forest) detect() {
	f.t.Helper()
	for range 200 {
		pkt := f.outbound(1)
		hop, out, drop := f.model.Out(pkt)
		if drop != "" {
			continue
		}
		wrong := f.model
		wrong.Routes = slices.Clone(f.model.Routes)
		for i := range wrong.Routes {
			wrong.Routes[i].Target, wrong.Routes[i].Fallback = "", ""
			if h := f.model.Hops[f.rnd.IntN(len(f.model.Hops))]; h.Name != hop {
				wrong.Routes[i].Target = h.Name
			}
		}
		if h, o, d := wrong.Out(pkt); h == hop && d == drop && bytes.Equal(o, out) {
			f.t.Fatalf("a wrong model says the same of % x", pkt)
		}
	}
}

// TestForest: what the model says happens to each packet, both ways, in random
// forests that change while they run.
func TestForest(t *testing.T) {
	trees, rounds := 6, 4
	if testing.Short() {
		trees, rounds = 1, 2
	}
	if n, err := strconv.Atoi(os.Getenv("MULTIHOP_FORESTS")); err == nil {
		trees = n
	}
	arrivals, drops := 0, make(map[string]int)
	note := func(n int, dropped map[string]int) {
		arrivals += n
		for name, k := range dropped {
			drops[name] += k
		}
	}
	for i := range trees {
		seed := uint64(i)
		if n, err := strconv.Atoi(os.Getenv("MULTIHOP_FOREST")); err == nil {
			seed = uint64(n)
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := newForest(t, seed)
			f.start()
			f.prime()
			tags := uint64(0)
			for round := range rounds {
				if round > 0 {
					f.chooseRoutes()
					if j := f.rnd.IntN(len(f.cfg.Hops)); f.rnd.IntN(2) == 0 {
						f.takeDown(j, !f.cfg.Hops[j].Down)
					}
					f.prime()
				}
				for range 4 {
					note(f.sendOut(&tags, 60))
					note(f.sendIn(&tags, 60))
				}
				f.detect()
			}
		})
	}
	t.Logf("%d packets arrived as they should; dropped: %v", arrivals, drops)
	if !testing.Short() && os.Getenv("MULTIHOP_FOREST") == "" {
		for _, name := range []string{"malformed", "source", "multicast", "no_route", "rejected", "down", "down_silent", "family", "too_big", "spoof", "destination"} {
			if drops[name] == 0 {
				t.Errorf("no packet was dropped as %s: the test shows nothing", name)
			}
		}
	}
}
