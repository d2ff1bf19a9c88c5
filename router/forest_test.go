package router

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/router/internal/naive"
	"multihop/tun"
)

// The forest: random trees of hops, with real relays, and random packets in both
// directions. What the relays and the TUN see is compared with package naive.

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
	if testing.Short() || raceEnabled {
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
	if trees > 1 && os.Getenv("MULTIHOP_FOREST") == "" {
		for _, name := range []string{"malformed", "source", "multicast", "no_route", "rejected", "down", "down_silent", "family", "too_big", "spoof", "destination"} {
			if drops[name] == 0 {
				t.Errorf("no packet was dropped as %s: the test shows nothing", name)
			}
		}
	}
}
