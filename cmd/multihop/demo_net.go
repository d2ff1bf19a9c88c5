package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"

	"multihop/internal/memnet"
	"multihop/packet"
	"multihop/router"
)

// A demoNet is the demo's internet: relays, each carried by the one before, and
// for each relay a site whose route ends there.
type demoNet struct {
	net    *memnet.Net
	client netip.Addr // on the internet
	app    netip.Addr // of the TUN: no relay and no site may ever see it
	relays []demoRelay
	sites  []demoSite
}

type demoRelay struct {
	name   string
	relay  *memnet.Relay
	key    router.Key // the client's
	tunnel netip.Addr // the client's
}

type demoSite struct {
	site   *memnet.Site
	addr   netip.Addr
	prefix netip.Prefix // its route
	via    []demoRelay  // in order
	seen   *demoSources
}

// demoSources counts packets by their source. It is safe for concurrent use.
type demoSources struct {
	mu sync.Mutex
	n  map[netip.Addr]uint64
}

// newDemoNet starts the relays and sites. Addresses on the internet are from
// the ranges for documentation (RFC 5737).
func newDemoNet() (*demoNet, error) {
	w := &demoNet{
		net:    memnet.New(),
		client: netip.AddrFrom4([4]byte{192, 0, 2, 1}),
		app:    netip.AddrFrom4([4]byte{172, 16, 0, 1}),
	}
	err := errors.Join(
		w.addRelay("entry", netip.AddrFrom4([4]byte{192, 0, 2, 10}), netip.AddrFrom4([4]byte{10, 1, 0, 2})),
		w.addSite("site-a", netip.AddrFrom4([4]byte{203, 0, 113, 1})),
		w.addRelay("exit", netip.AddrFrom4([4]byte{198, 51, 100, 20}), netip.AddrFrom4([4]byte{10, 2, 0, 2})),
		w.addSite("site-b", netip.AddrFrom4([4]byte{203, 0, 113, 129})),
	)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// addRelay adds a relay that the relays before it carry.
func (w *demoNet) addRelay(name string, addr, tunnel netip.Addr) error {
	relay, err := w.net.NewRelay(name, []netip.Addr{addr}, nil)
	if err != nil {
		return err
	}
	r := demoRelay{name: name, relay: relay, key: router.NewPrivateKey(), tunnel: tunnel}
	w.relays = append(w.relays, r)
	// Like a provider's, the relay would forward any source: only the router's
	// own translation makes it the tunnel address.
	return errors.Join(
		relay.Add(memnet.Client{PublicKey: r.key.Public(), Addrs: []netip.Addr{tunnel}, AllowedIPs: everywhere()}),
		relay.Start(),
	)
}

// addSite adds a site whose route leads through all relays so far.
func (w *demoNet) addSite(name string, addr netip.Addr) error {
	site, err := w.net.StartSite(name, addr)
	if err != nil {
		return err
	}
	prefix, err := addr.Prefix(25)
	if err != nil {
		return err
	}
	seen := &demoSources{n: make(map[netip.Addr]uint64)}
	site.Host().Tap(seen.add)
	w.sites = append(w.sites, demoSite{site: site, addr: addr, prefix: prefix, via: w.relays[:len(w.relays):len(w.relays)], seen: seen})
	return nil
}

func everywhere() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
}

// config is what a user of these relays and sites would configure.
func (w *demoNet) config() router.Config {
	cfg := router.Config{Addrs: []netip.Addr{w.app}}
	via := ""
	for _, r := range w.relays {
		cfg.Hops = append(cfg.Hops, router.Hop{
			Name:       r.name,
			Via:        via,
			PrivateKey: r.key,
			Addrs:      []netip.Addr{r.tunnel},
			Peers: []router.Peer{{
				PublicKey:  r.relay.PublicKey(),
				Endpoint:   r.relay.Endpoint().String(),
				AllowedIPs: everywhere(),
			}},
		})
		via = r.name
	}
	for _, s := range w.sites {
		cfg.Routes = append(cfg.Routes, router.Route{Prefix: s.prefix, Hop: s.last().name})
	}
	return cfg
}

// last is the hop of the site's route.
func (s demoSite) last() demoRelay { return s.via[len(s.via)-1] }

// describe prints what is about to be shown.
func (w *demoNet) describe(out io.Writer, plan *router.Plan) {
	fmt.Fprintf(out, "An internet in memory: a client at %s, its TUN at %s", w.client, w.app)
	for _, r := range w.relays {
		fmt.Fprintf(out, ", relay %s at %s", r.name, r.relay.Endpoint())
	}
	fmt.Fprintln(out, ".")
	for _, r := range plan.Routes {
		fmt.Fprintf(out, "route %s through %s, MTU %d\n", r.Prefix, strings.Join(r.Path, " > "), r.MTU)
	}
	fmt.Fprintln(out)
}

func (w *demoNet) close() error {
	var err error
	for _, s := range w.sites {
		err = errors.Join(err, s.site.Close())
	}
	for _, r := range w.relays {
		r.relay.Stop()
	}
	return err
}

// add is a tap.
func (s *demoSources) add(sent bool, pkt []byte) {
	var m packet.Meta
	if sent || m.Parse(pkt) != packet.OK {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[m.Src]++
}
