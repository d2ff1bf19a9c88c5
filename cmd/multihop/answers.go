package main

import (
	"context"
	"errors"

	"multihop/internal/control"
	"multihop/router"
)

var _ control.Instance = (*instance)(nil)

var errEnded = errors.New("it has just ended")

// ready waits until the instance can be asked.
func (in *instance) ready(ctx context.Context) error {
	select {
	case <-in.begun:
		return nil
	case <-in.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status implements control.Source.
func (in *instance) Status(ctx context.Context) (control.Status, error) {
	if err := in.ready(ctx); err != nil {
		return control.Status{}, err
	}
	d := in.inForce()
	return control.Status{Status: in.router.Status(), Profile: d.conf.Name, Host: in.hostStatus(d)}, nil
}

// Routes implements control.Source.
func (in *instance) Routes(ctx context.Context) ([]router.RouteStatus, error) {
	if err := in.ready(ctx); err != nil {
		return nil, err
	}
	return in.router.Routes(), nil
}

// Explain implements control.Source.
func (in *instance) Explain(ctx context.Context, f router.Flow) (router.Explanation, error) {
	if err := in.ready(ctx); err != nil {
		return router.Explanation{}, err
	}
	return in.router.Explain(f), nil
}

// Stop implements control.Instance.
func (in *instance) Stop(ctx context.Context) error {
	in.log.Info("asked to end")
	in.stop()
	select {
	case <-in.ended:
		return in.undone
	case <-ctx.Done():
		return ctx.Err()
	}
}
