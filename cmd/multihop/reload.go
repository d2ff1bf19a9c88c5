package main

import (
	"context"
	"errors"
	"fmt"

	"multihop/internal/control"
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
	defer func() {
		d := in.inForce()
		in.service.ready(fmt.Sprintf("%d hops, %d routes", len(d.plan.Hops), len(d.plan.Routes)))
	}()
	done.Changes = []string{}
	in.progress.also(func(line string) { done.Changes = append(done.Changes, line) })
	defer in.progress.also(nil)
	next, err := in.reread(ctx)
	if err == nil {
		err = in.replace(ctx, in.inForce(), next)
	}
	if err != nil {
		in.log.Warn("reload: nothing changes", "err", err)
		return control.Reloaded{}, err
	}
	done.Warnings = append([]string{}, next.warnings...)
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
		return nil, errors.New("Netns has changed, and a TUN cannot move: multihop down and up")
	}
	next, err := in.desire(ctx, c)
	if err != nil {
		return nil, err
	}
	next.warnings = append(warnings, next.warnings...)
	if had, need := needs(before.conf), needs(c); !had.cover(need) {
		next.warnings = append(next.warnings, "hooks, and files of other users, that are new need privileges that were given up: multihop down and up gives them")
	}
	return next, nil
}

// replace puts next in force instead of before: the router first, and only then
// the host, whose addresses must not change under packets that still have the old
// ones. But the new endpoints are let out before anything is sent there.
func (in *instance) replace(ctx context.Context, before, next *desired) error {
	if !in.bare {
		if err := in.host.SetEndpoints(next.host.Endpoints); err != nil {
			return err
		}
	}
	if err := in.router.Apply(ctx, next.plan); err != nil {
		return errors.Join(err, in.retell(before))
	}
	if err := in.tellHost(ctx, next); err != nil {
		return errors.Join(err, in.router.Apply(context.WithoutCancel(ctx), before.plan), in.retell(before))
	}
	in.setForce(next)
	if err := in.syncUAPI(next.plan); err != nil {
		in.log.Warn("a new hop is no interface for wg", "err", err)
	}
	return nil
}

// retell tells the host again what it was told before.
func (in *instance) retell(before *desired) error {
	if in.bare {
		return nil
	}
	_, err := in.host.Apply(context.Background(), before.host)
	return err
}
