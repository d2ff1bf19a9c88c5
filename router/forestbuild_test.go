package router

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"multihop/internal/memnet"
	"multihop/router/internal/naive"
	"multihop/tun"
)

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

// forestNets are the prefixes that routes and packets of the forest are in.
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
