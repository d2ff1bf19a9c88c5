package main

import (
	"context"
	"strings"
	"time"

	"multihop/conf"
	"multihop/internal/control"
)

var _ control.Applier = (*instance)(nil)

// changeWait bounds how long a change, or a dry run, waits for another to end.
const changeWait = 5 * time.Minute

// Apply implements control.Applier: the profile takes the way of a reload, with
// the flags that the instance was started with. The next reload goes back to the
// files.
func (in *instance) Apply(ctx context.Context, profile string, o control.ApplyOptions) (control.Reloaded, error) {
	next := func(ctx context.Context) (*desired, error) {
		c, warnings, err := in.read(profile)
		if err != nil {
			return nil, &control.RefusedError{Err: err}
		}
		d, err := in.want(ctx, c, warnings)
		if err == nil {
			err = in.guardSession(d, o.SSH)
		}
		if err != nil && ctx.Err() == nil {
			err = &control.RefusedError{Err: err}
		}
		return d, err
	}
	if o.DryRun {
		return in.foresee(ctx, next)
	}
	return in.change(ctx, "apply", next)
}

// read reads a profile that came as a text, with the flags that the instance was
// started with.
func (in *instance) read(profile string) (*conf.Instance, []string, error) {
	over, warnings, err := in.order.overrides()
	if err != nil {
		return nil, nil, err
	}
	c, err := conf.ReadProfile("profile", strings.NewReader(profile), over)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range c.Warnings {
		warnings = append(warnings, w.String())
	}
	before := in.inForce().conf
	c.Name = before.Name
	// What ran on the way up is undone on the way down, whatever is in force then.
	c.Settings.PreDown, c.Settings.PostDown = before.Settings.PreDown, before.Settings.PostDown
	return c, warnings, nil
}

// foresee says what a change would do, and does not do it.
func (in *instance) foresee(ctx context.Context, next func(context.Context) (*desired, error)) (done control.Reloaded, err error) {
	if err := in.ready(ctx); err != nil {
		return done, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(in.life, cancel)()
	if err := in.lockChanging(ctx, changeWait); err != nil {
		return done, err
	}
	defer in.changing.Unlock()
	if in.ending {
		return done, errEnded
	}
	d, err := next(ctx)
	if err != nil {
		return done, err
	}
	done = control.Reloaded{Changes: []string{}, Warnings: append([]string{}, d.warnings...)}
	if in.bare {
		return done, nil
	}
	lines, err := in.host.Plan(d.host, maxChanges)
	done.Changes = append(done.Changes, lines...)
	return done, err
}
