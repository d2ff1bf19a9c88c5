package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/internal/resolv"
	"multihop/router"
)

// maxPacket is the largest MTU of a link, in bytes.
const maxPacket = 65535

// upstreamTimeout bounds the question which resolvers the host uses.
const upstreamTimeout = 5 * time.Second

// A desired state is what files and flags ask for, together with what the host
// knows.
type desired struct {
	conf     *conf.Instance
	plan     *router.Plan
	host     host.Config
	scope    scope // of its names
	around   surroundings
	needs    privileges
	warnings []string
}

// surroundings are what the host knows that a desired state depends on.
type surroundings struct {
	resolvers []netip.Addr // the host's own
	mtus      []int        // of the hops on the host's network; others: as their files say
}

func (s surroundings) equal(t surroundings) bool {
	return slices.Equal(s.resolvers, t.resolvers) && slices.Equal(s.mtus, t.mtus)
}

// desire works out the state that c asks for. It changes nothing on the host,
// but opens sockets to look names up.
func (in *instance) desire(ctx context.Context, c *conf.Instance) (*desired, error) {
	d := &desired{conf: c}
	if before := in.inForce(); before != nil {
		d.needs = before.needs
	}
	cfg := c.Config
	cfg.Hops = slices.Clone(cfg.Hops)
	plan, err := router.Compile(withRoom(cfg))
	if err != nil {
		return nil, err
	}
	for _, r := range cfg.Routes { // what the host's choice depends on
		plan.Routes = append(plan.Routes, router.PlanRoute{Prefix: r.Prefix, Prefixes: r.Prefixes, Hop: r.Hop})
	}
	d.around.resolvers, d.warnings = in.upstream(ctx)
	d.host = in.hostConfig(d, plan, cfg.Hops)
	if err := in.choose(&d.host); err != nil { // the mark for look-ups
		return nil, err
	}
	d.scope = scope{&cfg, d.host.Mark, d.around.resolvers}
	d.warnings = append(d.warnings, in.names.lookUpAll(ctx, d.scope)...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.host.Endpoints = in.endpoints(cfg.Hops)
	if err := in.choose(&d.host); err != nil { // an endpoint may lie inside a route
		return nil, err
	}
	mark := d.host.Mark
	d.scope.mark = mark
	for i := range cfg.Hops {
		if cfg.Hops[i].Via == "" {
			cfg.Hops[i].FwMark = mark
		}
	}
	d.warnings = append(d.warnings, in.uplink.deriveMTU(&cfg, in.names.endpoints, c.Settings.MTU)...)
	d.around.mtus = hopMTUs(cfg.Hops)
	if d.plan, err = router.Compile(cfg); err != nil {
		return nil, err
	}
	d.warnings = append(d.warnings, d.plan.Warnings...)
	d.host = in.hostConfig(d, d.plan, cfg.Hops)
	d.host.Mark = mark
	return d, nil
}

// withRoom returns cfg with the largest MTU for each hop on the host's network that
// has none yet: whether there is room for all hops is to be seen once it is known
// what the way to the endpoints holds. Until then there are no routes either: they
// may be a million, and are judged once.
func withRoom(cfg router.Config) router.Config {
	cfg.Hops, cfg.Routes = slices.Clone(cfg.Hops), nil
	for i := range cfg.Hops {
		if h := &cfg.Hops[i]; h.Via == "" && h.MTU == 0 {
			h.MTU = maxPacket - wgQuickOverhead
		}
	}
	return cfg
}

// lookAround returns what the host knows now of what d depends on.
func (in *instance) lookAround(ctx context.Context, d *desired) (now surroundings) {
	now.resolvers, _ = in.upstream(ctx)
	if len(now.resolvers) == 0 { // there is no network, for the moment
		now.resolvers = d.around.resolvers
	}
	cfg := d.conf.Config
	cfg.Hops = slices.Clone(cfg.Hops)
	in.uplink.deriveMTU(&cfg, in.names.endpoints, d.conf.Settings.MTU)
	now.mtus = hopMTUs(cfg.Hops)
	return now
}

func hopMTUs(hops []router.Hop) []int {
	out := make([]int, len(hops))
	for i, h := range hops {
		out[i] = h.MTU
	}
	return out
}

// choose fills in the mark and the table where the configuration needs them. (A
// dry run sets nothing aside; the host's plan chooses for itself.)
func (in *instance) choose(c *host.Config) error {
	if in.bare || in.dry {
		return nil
	}
	return in.host.Choose(c)
}

// upstream returns the resolvers that the host uses apart from ours.
func (in *instance) upstream(ctx context.Context) (_ []netip.Addr, warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	up, err := new(resolv.System).Upstream(ctx, in.name)
	if err != nil {
		return nil, []string{fmt.Sprintf("the host's own resolvers are not known: %v", err)}
	}
	return append(up.Servers, up.Local...), nil // the local ones answer until a kill switch stands
}

// hostConfig returns what the host is to be told of a plan.
func (in *instance) hostConfig(d *desired, plan *router.Plan, hops []router.Hop) host.Config {
	c := d.conf
	s := &c.Settings
	mark := s.FwMark
	if before := in.inForce(); mark == 0 && before != nil {
		mark = before.host.Mark // unmarking the sockets would send them into the TUN for a moment
	}
	h := host.Config{
		Name: in.name, MTU: plan.MTU, Addrs: plan.Addrs,
		Table: s.Table, Mark: mark,
		Endpoints:  in.endpoints(hops),
		Tunnel:     slices.Clone(plan.Addrs),
		KillSwitch: hostChoice(s.KillSwitch), LAN: hostChoice(s.LAN), IPv6Direct: s.IPv6Direct,
		Exclude: s.Exclude,
	}
	for _, r := range plan.Routes {
		h.Routes = append(h.Routes, host.Route{Prefix: r.Prefix, Prefixes: r.Prefixes, MTU: r.MTU, Hop: routeKey(&r), Reject: r.Reject != ""})
	}
	for _, hop := range hops {
		h.Tunnel = append(h.Tunnel, hop.Addrs...)
	}
	h.Tunnel = dedup(h.Tunnel)
	for _, r := range d.around.resolvers {
		if !r.IsLoopback() {
			h.Resolvers = append(h.Resolvers, r)
		}
	}
	if s.Netns == "" { // programs in a namespace get theirs from exec
		for _, r := range c.Resolvers {
			h.DNS.Servers = append(h.DNS.Servers, r.Addr)
		}
		h.DNS.Search = c.Search
	}
	return h
}

// prefixesOf returns the prefixes of a route: one, or a large set.
func prefixesOf(r router.PlanRoute) []netip.Prefix {
	if r.Prefix.IsValid() {
		return append([]netip.Prefix{r.Prefix}, r.Prefixes...)
	}
	return r.Prefixes
}

// endpoints returns the addresses that datagrams of hops on the host's network
// go to: those in the configuration, those that names have, and those that peers
// were heard from whose endpoint has not been changed since.
func (in *instance) endpoints(hops []router.Hop) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range hops {
		if hops[i].Via == "" {
			out = append(out, in.names.endpoints(&hops[i])...)
		}
	}
	before := in.inForce()
	if before == nil {
		return dedup(out)
	}
	for _, h := range in.router.Status().Hops {
		for _, p := range h.Peers {
			now, known := endpointOfPeer(hops, h.Name, p.PublicKey)
			was, _ := endpointOfPeer(before.conf.Config.Hops, h.Name, p.PublicKey)
			if ap, err := netip.ParseAddrPort(p.Endpoint); err == nil && known && now == was {
				out = append(out, ap)
			}
		}
	}
	return dedup(out)
}

// endpointOfPeer returns the endpoint, as configured, of a peer of a hop on the
// host's network.
func endpointOfPeer(hops []router.Hop, hop, key string) (endpoint string, ok bool) {
	for i := range hops {
		if hops[i].Name != hop || hops[i].Via != "" {
			continue
		}
		for _, p := range hops[i].Peers {
			if p.PublicKey.Encode() == key {
				return p.Endpoint, true
			}
		}
	}
	return "", false
}

func hostChoice(c conf.Choice) host.Choice {
	switch c {
	case conf.Yes:
		return host.On
	case conf.No:
		return host.Off
	}
	return host.Auto
}
