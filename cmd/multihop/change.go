package main

import (
	"context"
	"errors"

	"multihop/conf"
	"multihop/internal/control"
)

// maxChanges bounds the changes to the host that a reload tells of.
const maxChanges = 1000

// change puts what next works out in force, and says what that did. After an
// error what was in force still is.
func (in *instance) change(ctx context.Context, what string, next func(context.Context) (*desired, error)) (done control.Reloaded, err error) {
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
	in.progress.also(func(line string) bool {
		done.Changes = append(done.Changes, line)
		if len(done.Changes) < maxChanges {
			return true
		}
		done.Changes = append(done.Changes, "... and more")
		return false
	})
	defer in.progress.also(nil)
	done.Warnings = []string{}
	in.progress.alsoWarn(func(w string) { done.Warnings = append(done.Warnings, w) })
	defer in.progress.alsoWarn(nil)
	d, err := next(ctx)
	if err == nil {
		err = in.replace(ctx, in.inForce(), d)
	}
	if err != nil {
		in.log.Warn(what+": what was in force stays", "err", err)
		return control.Reloaded{}, err
	}
	done.Warnings = append(d.warnings, done.Warnings...)
	in.log.Info(what+": done", "hops", len(d.plan.Hops), "routes", len(d.plan.Routes))
	return done, nil
}

// want works out what c asks for of a running instance.
func (in *instance) want(ctx context.Context, c *conf.Instance, warnings []string) (*desired, error) {
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
