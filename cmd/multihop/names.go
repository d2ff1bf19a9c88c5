package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"multihop/internal/host"
	"multihop/internal/lookup"
	"multihop/router"
)

const (
	dnsPort       = 53
	lookupTimeout = 10 * time.Second // of one name
	lookupsAtOnce = 16               // of a start or a reload
	fresh         = 10 * time.Second // for which an answer is not asked for again
)

// names looks the names of endpoints up. The name of a hop on the host's network
// is asked of the resolvers that the host used before the instance came, by
// sockets with its mark, past every tunnel; that of a carried hop of its
// carrier's DNS, through the carrier.
type names struct {
	log     *slog.Logger
	reaches func(netip.Addr) bool // the host has a route to it that is no tunnel of ours

	// allow lets datagrams to endpoints of hops on the host's network out, before
	// anything is sent there.
	allow func(endpoints []netip.AddrPort) error

	// inside opens a socket in a hop's tunnel, and carrier names the hop that
	// carries another now.
	inside  func(hop, network string) (net.PacketConn, error)
	carrier func(hop string) string

	// ask is (*lookup.Client).Lookup but for tests.
	ask func(c *lookup.Client, ctx context.Context, name string) ([]netip.Addr, time.Duration, error)

	mu    sync.Mutex
	scope scope // in force, or about to be
	known map[nameKey]answer
}

// A scope is what names are looked up for, and how.
type scope struct {
	cfg       *router.Config
	mark      uint32       // of the host's sockets
	resolvers []netip.Addr // the host's
}

type nameKey struct{ hop, host string }

// An answer is what was last found out about a name.
type answer struct {
	addrs []netip.Addr
	at    time.Time
}

// use says what to look names up for from now on.
func (n *names) use(s scope) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.scope = s
}

// resolve is a router's Options.Resolve. After an error the router keeps the
// address that it has, and asks again later.
func (n *names) resolve(ctx context.Context, hop, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	in, known := n.scope, n.known[nameKey{hop, name}]
	n.mu.Unlock()
	h := hopNamed(in.cfg, hop)
	if h == nil {
		return nil, fmt.Errorf("no hop is named %q", hop)
	}
	if h.Via != "" {
		return n.resolveInside(ctx, in.cfg, h, name)
	}
	addrs := known.addrs
	if time.Since(known.at) > fresh {
		var err error
		if addrs, err = n.resolveOutside(ctx, in, h, name); err != nil {
			return nil, err
		}
	}
	if err := n.allow(endpointsAt(h, name, addrs)); err != nil {
		return nil, err
	}
	return addrs, nil
}

// resolveOutside asks the host's resolvers, and remembers the answer.
func (n *names) resolveOutside(ctx context.Context, in scope, h *router.Hop, name string) ([]netip.Addr, error) {
	c := new(lookup.Client)
	for _, r := range in.resolvers {
		c.Servers = append(c.Servers, netip.AddrPortFrom(r, dnsPort))
	}
	c.Listen, c.DialTCP = lookup.Marked(in.mark)
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, _, err := n.ask(c, ctx, name)
	if err != nil {
		return nil, lookupCause(name, err)
	}
	if addrs, err = prefer(addrs, nil, n.reaches); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[nameKey]answer)
	}
	n.known[nameKey{h.Name, name}] = answer{addrs, time.Now()}
	return addrs, nil
}

// resolveInside asks the DNS of the hop that carries h, through it.
func (n *names) resolveInside(ctx context.Context, cfg *router.Config, h *router.Hop, name string) ([]netip.Addr, error) {
	via := hopNamed(cfg, n.carrier(h.Name))
	if via == nil {
		via = hopNamed(cfg, h.Via)
	}
	if via == nil {
		return nil, fmt.Errorf("its carrier %s is no hop", h.Via)
	}
	if len(via.DNS) == 0 {
		return nil, fmt.Errorf("its name %s cannot be looked up: its carrier %s has no DNS to ask: give it one, or %s an address", name, via.Name, h.Name)
	}
	c := &lookup.Client{Listen: func(_ context.Context, network string) (net.PacketConn, error) {
		return n.inside(via.Name, network)
	}}
	for _, s := range via.DNS {
		if hasFamily(via, s) {
			c.Servers = append(c.Servers, netip.AddrPortFrom(s, dnsPort))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, _, err := n.ask(c, ctx, name)
	if err != nil {
		return nil, lookupCause(name, err)
	}
	return prefer(addrs, via, nil)
}

// lookUpAll looks the names of the hops on the host's network up, before
// anything is set up. The warnings name those that are to be asked for again, in
// the order of the hops.
func (n *names) lookUpAll(ctx context.Context, in scope) (warnings []string) {
	var said []*string // of each name
	var g errgroup.Group
	g.SetLimit(lookupsAtOnce)
	for i := range in.cfg.Hops {
		h := &in.cfg.Hops[i]
		if h.Via != "" {
			continue
		}
		seen := make(map[string]bool)
		for _, p := range h.Peers {
			name, _, ok := endpointName(p.Endpoint)
			if !ok || seen[name] || len(n.addrs(h.Name, name)) > 0 {
				continue
			}
			seen[name] = true
			warning := new(string)
			said = append(said, warning)
			g.Go(func() error {
				if _, err := n.resolveOutside(ctx, in, h, name); err != nil && ctx.Err() == nil {
					*warning = fmt.Sprintf("hop %s: endpoint %s: %v: it will be asked for again", h.Name, name, err)
				}
				return nil
			})
		}
	}
	_ = g.Wait() // each said what it has to say
	for _, w := range said {
		if *w != "" {
			warnings = append(warnings, *w)
		}
	}
	return warnings
}

// addrs returns what is known of a name.
func (n *names) addrs(hop, name string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[nameKey{hop, name}].addrs
}

// endpoints returns the known addresses of the peers of a hop on the host's
// network.
func (n *names) endpoints(h *router.Hop) []netip.AddrPort {
	var out []netip.AddrPort
	for _, p := range h.Peers {
		if ap, err := netip.ParseAddrPort(p.Endpoint); err == nil {
			out = append(out, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
		} else if name, _, ok := endpointName(p.Endpoint); ok {
			out = append(out, endpointsAt(h, name, n.addrs(h.Name, name))...)
		}
	}
	return dedup(out)
}

// endpointsAt joins addresses with the ports that h's peers have at a name.
func endpointsAt(h *router.Hop, name string, addrs []netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, p := range h.Peers {
		if at, port, ok := endpointName(p.Endpoint); ok && at == name {
			for _, a := range addrs {
				out = append(out, netip.AddrPortFrom(a, port))
			}
		}
	}
	return dedup(out)
}

// dedup returns list in its order, nothing twice.
func dedup[T comparable](list []T) []T {
	var out []T
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// lookupCause says in words of ours why a name has no address.
func lookupCause(name string, err error) error {
	switch {
	case errors.Is(err, lookup.ErrNotFound):
		return fmt.Errorf("the name %s does not exist, or has no address", name)
	case errors.Is(err, lookup.ErrNoServers):
		return fmt.Errorf("the name %s cannot be looked up: this host has no resolver", name)
	}
	return fmt.Errorf("the name %s cannot be looked up: %w", name, err)
}

// reachable reports whether routeTo finds a way.
func reachable(routeTo func(netip.Addr) (host.Path, error)) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		_, err := routeTo(a)
		return err == nil || errors.Is(err, host.ErrUnsupported)
	}
}
