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

// upstreamTimeout bounds the question which resolvers the host uses.
const upstreamTimeout = 5 * time.Second

// A desired state is what files and flags ask for, together with what the host
// knows: addresses of endpoints, and the MTU of the way to them.
type desired struct {
	conf     *conf.Instance
	plan     *router.Plan
	host     host.Config
	warnings []string
}

// desire works out the state that c asks for. It changes nothing on the host,
// but opens sockets to look names up.
func (in *instance) desire(ctx context.Context, c *conf.Instance) (*desired, error) {
	d := &desired{conf: c}
	cfg := c.Config
	cfg.Hops = slices.Clone(cfg.Hops)
	plan, err := router.Compile(cfg)
	if err != nil {
		return nil, err
	}
	resolvers := in.upstream(ctx, d)
	in.names.use(&cfg, 0, nil)
	d.host = in.hostConfig(c, plan, cfg.Hops, resolvers)
	if err := in.choose(&d.host); err != nil {
		return nil, err
	}
	in.names.use(&cfg, d.host.Mark, resolvers)
	d.warnings = append(d.warnings, in.names.lookUpAll(ctx)...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.host.Endpoints = in.endpoints(cfg.Hops)
	if err := in.choose(&d.host); err != nil {
		return nil, err
	}
	mark := d.host.Mark
	for i := range cfg.Hops {
		if cfg.Hops[i].Via == "" {
			cfg.Hops[i].FwMark = mark
		}
	}
	d.warnings = append(d.warnings, in.uplink.deriveMTU(&cfg, in.names.endpoints, c.Settings.MTU)...)
	if d.plan, err = router.Compile(cfg); err != nil {
		return nil, err
	}
	d.warnings = append(d.warnings, d.plan.Warnings...)
	in.names.use(&cfg, mark, resolvers)
	d.host = in.hostConfig(c, d.plan, cfg.Hops, resolvers)
	d.host.Mark = mark
	return d, nil
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
func (in *instance) upstream(ctx context.Context, d *desired) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	up, err := new(resolv.System).Upstream(ctx, in.name)
	if err != nil {
		d.warnings = append(d.warnings, fmt.Sprintf("the host's own resolvers are not known: %v", err))
		return nil
	}
	return append(up.Servers, up.Local...) // the local ones answer until a kill switch stands
}

// hostConfig returns what the host is to be told of a plan.
func (in *instance) hostConfig(c *conf.Instance, plan *router.Plan, hops []router.Hop, resolvers []netip.Addr) host.Config {
	s := &c.Settings
	h := host.Config{
		Name: in.name, MTU: plan.MTU, Addrs: plan.Addrs,
		Table: s.Table, Mark: s.FwMark,
		Endpoints:  in.endpoints(hops),
		Tunnel:     slices.Clone(plan.Addrs),
		KillSwitch: hostChoice(s.KillSwitch), LAN: hostChoice(s.LAN), IPv6Direct: s.IPv6Direct,
		Exclude: s.Exclude,
	}
	for _, r := range plan.Routes {
		h.Routes = append(h.Routes, host.Route{Prefix: r.Prefix, MTU: r.MTU, Reject: r.Reject != ""})
	}
	for _, hop := range hops {
		h.Tunnel = append(h.Tunnel, hop.Addrs...)
	}
	h.Tunnel = dedup(h.Tunnel)
	for _, r := range resolvers {
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

// endpoints returns the addresses that datagrams of hops on the host's network
// go to: those in the configuration, those that names have, and those that peers
// were heard from.
func (in *instance) endpoints(hops []router.Hop) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range hops {
		if hops[i].Via == "" {
			out = append(out, in.names.endpoints(&hops[i])...)
		}
	}
	if in.router != nil {
		for _, h := range in.router.Status().Hops {
			if h.Via == "" && slices.ContainsFunc(hops, func(o router.Hop) bool { return o.Name == h.Name && o.Via == "" }) {
				out = append(out, rootEndpoints(router.Status{Hops: []router.HopStatus{h}})...)
			}
		}
	}
	return dedup(out)
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
