package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"multihop/internal/control"
	"multihop/router"
)

// Reload implements control.Instance: it reads the files again and puts what
// they say in force. After an error what was in force still is.
func (in *instance) Reload(ctx context.Context) (done control.Reloaded, err error) {
	if err := in.ready(ctx); err != nil {
		return done, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(in.life, cancel)()
	in.changing.Lock()
	defer in.changing.Unlock()
	if in.ending {
		return done, errEnded
	}
	in.service.reloading()
	defer in.tellService()
	defer in.service.ready()
	done.Changes = []string{}
	in.progress.also(func(line string) { done.Changes = append(done.Changes, line) })
	defer in.progress.also(nil)
	done.Warnings = []string{}
	in.progress.alsoWarn(func(w string) { done.Warnings = append(done.Warnings, w) })
	defer in.progress.alsoWarn(nil)
	next, err := in.reread(ctx)
	if err == nil {
		err = in.replace(ctx, in.inForce(), next)
	}
	if err != nil {
		in.log.Warn("reload: what was in force stays", "err", err)
		return control.Reloaded{}, err
	}
	done.Warnings = append(next.warnings, done.Warnings...)
	in.log.Info("reloaded", "hops", len(next.plan.Hops), "routes", len(next.plan.Routes))
	return done, nil
}

// reread works out what the files ask for now.
func (in *instance) reread(ctx context.Context) (*desired, error) {
	c, warnings, err := in.order.load(false)
	if err != nil {
		return nil, err
	}
	before := in.inForce()
	if c.Settings.Netns != before.conf.Settings.Netns {
		return nil, errors.New("a TUN cannot move, and Netns has changed: multihop down and up")
	}
	next, err := in.desire(ctx, c)
	if err != nil {
		return nil, err
	}
	next.warnings = append(warnings, next.warnings...)
	next.needs = needs(c)
	if !before.needs.cover(next.needs) {
		next.needs = before.needs
		next.warnings = append(next.warnings, "hooks, and files of other users, that are new need privileges that were given up: multihop down and up gives them")
	}
	return next, nil
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
	for i, step := range steps {
		if err := step(ctx, next); err != nil {
			for _, done := range steps[:i+1] {
				err = errors.Join(err, done(context.WithoutCancel(ctx), before))
			}
			return err
		}
	}
	in.setForce(next)
	in.routeMTUs = plannedMTUs(next.plan)
	in.syncRouteMTUs()
	if err := in.syncUAPI(next.plan); err != nil {
		in.warn(fmt.Sprintf("a new hop is no interface for wg: %v", err))
	}
	return nil
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
