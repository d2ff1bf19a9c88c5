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
func (in *instance) change(ctx context.Context, what string, next func(context.Context) (*desired, error)) (control.Reloaded, error) {
	if err := in.ready(ctx); err != nil {
		return control.Reloaded{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(in.life, cancel)()
	if err := in.lockChanging(ctx, changeWait); err != nil {
		return control.Reloaded{}, err
	}
	defer in.changing.Unlock()
	if in.ending {
		return control.Reloaded{}, errEnded
	}
	in.service.reloading()
	defer in.tellService()
	defer in.service.ready()
	warnings := []string{}
	in.progress.alsoWarn(func(w string) { warnings = append(warnings, w) })
	d, err := next(ctx)
	var changes []string
	if err == nil {
		changes, err = in.changesOf(func() error { return in.replace(ctx, in.inForce(), d) })
	}
	in.progress.alsoWarn(nil)
	if err != nil {
		in.log.Warn(what+": what was in force stays", "err", err)
		return control.Reloaded{}, err
	}
	in.log.Info(what+": done", "hops", len(d.plan.Hops), "routes", len(d.plan.Routes))
	return control.Reloaded{Changes: changes, Warnings: append(d.warnings, warnings...)}, nil
}

// changesOf calls f and returns the changes to the host that were made meanwhile, of
// many only the first.
func (in *instance) changesOf(f func() error) ([]string, error) {
	changes := []string{}
	in.progress.also(func(line string) bool { // under the lock of progress
		changes = append(changes, line)
		if len(changes) < maxChanges {
			return true
		}
		changes = append(changes, "... and more")
		return false
	})
	err := f()
	in.progress.also(nil) // nobody appends any more
	return changes, err
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
