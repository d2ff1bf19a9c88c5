package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"multihop/internal/control"
	"multihop/router"
)

// Reload implements control.Instance: it reads the files again and puts what
// they say in force. After an error what was in force still is.
func (in *instance) Reload(ctx context.Context, ssh []netip.Addr) (control.Reloaded, error) {
	return in.change(ctx, "reload", func(ctx context.Context) (*desired, error) {
		next, err := in.reread(ctx)
		if err == nil {
			err = in.guardSession(next, ssh)
		}
		return next, err
	})
}

// reread works out what the files ask for now.
func (in *instance) reread(ctx context.Context) (*desired, error) {
	c, warnings, err := in.order.load(false)
	if err != nil {
		return nil, err
	}
	return in.want(ctx, c, warnings)
}

// replace puts next in force instead of before. After an error what was before
// is in force.
//
// The router comes first, and then the host, whose addresses must not change under
// packets that still have the old ones; but new endpoints are let out before
// anything is sent there, and sockets without a mark get theirs before rules ask
// for it. Only where a new endpoint lies inside a route that is there already, or
// a mark becomes another, does the host come first: by its new rules the sockets'
// next packets go past the TUN.
func (in *instance) replace(ctx context.Context, before, next *desired) error {
	remarked := next.host.Mark != before.host.Mark
	if remarked && before.host.Mark == 0 {
		if err := in.mark(ctx, before, next.host.Mark); err != nil {
			return err
		}
		remarked = false
	}
	hostFirst := !in.bare && (in.host.SetEndpoints(next.host.Endpoints) != nil || remarked)
	steps := []func(context.Context, *desired) error{in.applyRouter, in.tellHost}
	if hostFirst {
		slices.Reverse(steps)
	}
	where := in.endpoints(before.conf.Config.Hops)
	for _, step := range steps {
		if err := step(ctx, next); err != nil {
			back := *before
			back.host.Endpoints = where
			return errors.Join(err, in.goBack(context.WithoutCancel(ctx), &back, steps))
		}
	}
	in.setForce(next)
	in.toldOf(next)
	if err := in.syncUAPI(next.plan); err != nil {
		in.warn(fmt.Sprintf("a new hop is no interface for wg: %v", err))
	}
	return nil
}

// goBack takes all steps to what is in force, whichever of them failed: a step that
// did may have changed the mark, or let endpoints out, before it.
func (in *instance) goBack(ctx context.Context, back *desired, steps []func(context.Context, *desired) error) error {
	var errs []error
	for _, step := range steps {
		errs = append(errs, step(ctx, back))
	}
	in.toldOf(back)
	return errors.Join(errs...)
}

// toldOf brings the host, which was just told of what is in force, to what the
// router has found out meanwhile: d has the MTUs that were planned, and the
// endpoints that peers had when it was worked out.
func (in *instance) toldOf(d *desired) {
	in.routeMTUs = plannedMTUs(d.plan)
	in.syncRouteMTUs()
	moved := slices.DeleteFunc(in.endpoints(d.conf.Config.Hops), func(e netip.AddrPort) bool {
		return slices.Contains(d.host.Endpoints, e)
	})
	if len(moved) == 0 {
		return
	}
	if err := in.allow(moved); err != nil {
		in.log.Warn("a peer has moved where nothing may be sent", "endpoints", moved, "err", err)
	}
}

// applyRouter has the router do what d says.
func (in *instance) applyRouter(ctx context.Context, d *desired) error {
	in.names.use(d.scope)
	return in.router.Apply(ctx, d.plan)
}

// mark gives the sockets of what is in force another mark.
func (in *instance) mark(ctx context.Context, d *desired, mark uint32) error {
	cfg := *d.scope.cfg
	cfg.Hops = slices.Clone(cfg.Hops)
	for i := range cfg.Hops {
		if cfg.Hops[i].Via == "" {
			cfg.Hops[i].FwMark = mark
		}
	}
	plan, err := router.Compile(cfg)
	if err != nil {
		return err
	}
	return in.router.Apply(ctx, plan)
}
