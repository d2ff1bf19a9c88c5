package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"multihop/internal/control"
	"multihop/internal/host"
	"multihop/internal/sock"
	"multihop/internal/uapi"
	"multihop/router"
	"multihop/tun"
)

// An instance is one running router with all that belongs to it on the host.
type instance struct {
	name   string
	table  string
	plan   *router.Plan
	uplink *uplink
	log    *slog.Logger

	router  *router.Router
	applied atomic.Pointer[host.Applied] // nil: not yet
	control net.Listener
	uapi    []*uapi.Server
	undo    []func() error // in the order of what they undo
}

// run runs the instance until ctx ends. Then, or when a step fails, it undoes
// what was done, last step first.
func (in *instance) run(ctx context.Context) (err error) {
	defer func() {
		for i := len(in.undo) - 1; i >= 0; i-- {
			err = errors.Join(err, in.undo[i]())
		}
	}()
	if err := in.openTUN(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before it had begun
		}
		return err
	}
	if err := in.listen(); err != nil {
		return err
	}
	if err := in.configure(); err != nil {
		return err
	}
	return in.serve(ctx)
}

func (in *instance) onExit(f func() error) { in.undo = append(in.undo, f) }

// nameFree checks that a TUN of that name can be made.
func nameFree(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	switch taken, err := host.Exists(name); {
	case err != nil:
		return err
	case taken:
		return fmt.Errorf("%s: an interface of that name exists: choose another with --name", name)
	}
	return nil
}

// openTUN makes the TUN and the router that owns it.
func (in *instance) openTUN(ctx context.Context) error {
	dev, err := tun.Open(in.name, in.plan.MTU)
	if err != nil {
		return err
	}
	if in.name, err = dev.Name(); err != nil { // some systems choose it
		return errors.Join(err, dev.Close())
	}
	in.uplink.tun = in.name
	in.router = router.New(&router.Options{Logger: in.log, OnEvent: onEvent(in.log, in.setMTU)})
	in.onExit(in.router.Close)
	if err := in.router.SetTUN(dev); err != nil {
		return errors.Join(err, dev.Close())
	}
	return in.router.Apply(ctx, in.plan) // Run starts it
}

// listen makes the sockets; serve answers on them. Until then a client waits.
func (in *instance) listen() error {
	l, err := control.Listen(control.Dir, in.name)
	if errors.Is(err, sock.ErrInUse) { // in another network namespace, else its TUN would have been seen
		return fmt.Errorf("%s: an instance of that name runs: choose another with --name: %w", in.name, err)
	}
	if err != nil {
		return err
	}
	in.control = l
	in.onExit(l.Close)
	for _, h := range in.plan.Hops {
		get := func(w io.Writer) error { return in.router.UAPI(h.Name, w) }
		s, err := uapi.Listen(uapi.Dir, uapi.Name(in.name, h.Name), get, in.log)
		if err != nil {
			return err
		}
		in.uapi = append(in.uapi, s)
		in.onExit(s.Close)
	}
	return nil
}

// configure gives the TUN its addresses and, unless told not to, its routes.
func (in *instance) configure() error {
	c := host.Config{Name: in.name, MTU: in.plan.MTU, Addrs: in.plan.Addrs}
	if in.table != tableOff {
		for _, r := range in.plan.Routes {
			c.Routes = append(c.Routes, host.Route{Prefix: r.Prefix, MTU: r.MTU})
		}
	}
	applied, err := host.Configure(c)
	if in.table == tableOff && errors.Is(err, host.ErrUnsupported) {
		in.log.Warn(err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	in.onExit(applied.Close)
	in.applied.Store(applied)
	for _, w := range applied.Warnings {
		in.log.Warn(w)
	}
	return nil
}

// setMTU gives the kernel's routes through a hop its new MTU.
func (in *instance) setMTU(hop string, mtu int) {
	applied := in.applied.Load()
	if applied == nil {
		return
	}
	for _, r := range in.plan.Routes {
		if r.Hop != hop {
			continue
		}
		if err := applied.SetRouteMTU(r.Prefix, mtu); err != nil {
			in.log.Warn("a route keeps its MTU", "route", r.Prefix, "mtu", mtu, "err", err)
		}
	}
}

// serve carries packets and answers questions until ctx ends or one of the
// parts fails, and waits for all of them.
func (in *instance) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := in.router.Run(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("the router stopped by itself")
		}
		if errors.Is(err, os.ErrClosed) { // so the TUN says when its interface is deleted
			err = fmt.Errorf("%s: the TUN is gone: somebody deleted it", in.name)
		}
		return err
	})
	if !in.started(ctx) {
		return g.Wait()
	}
	g.Go(func() error { // packets matter more than questions: not fatal
		if err := control.Serve(ctx, in.control, in.router, in.log); err != nil {
			in.log.Error("multihop show does not work any more", "err", err)
		}
		return nil
	})
	for _, s := range in.uapi {
		g.Go(func() error {
			stop := context.AfterFunc(ctx, func() { _ = s.Close() })
			defer stop()
			s.Serve()
			return nil
		})
	}
	g.Go(func() error {
		in.watch(ctx)
		return nil
	})
	in.log.Info("running", "tun", in.name, "hops", len(in.plan.Hops))
	err := g.Wait()
	if err == nil {
		in.log.Info("stopped", "tun", in.name)
	}
	return err
}

// started waits until the router has taken its plan over. It reports false if
// it never will.
func (in *instance) started(ctx context.Context) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(in.router.Status().Hops) < len(in.plan.Hops) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// watch tells the router when the way to an endpoint on the host's network
// changes.
func (in *instance) watch(ctx context.Context) {
	in.uplink.changed(rootEndpoints(in.router.Status()))
	err := host.Watch(ctx, func() {
		if !in.uplink.changed(rootEndpoints(in.router.Status())) {
			return
		}
		in.log.Info("network changed: new sockets")
		if err := in.router.NetworkChanged(); err != nil {
			in.log.Warn("network changed", "err", err)
		}
	})
	if err != nil {
		in.log.Warn("changes of the host's network are not noticed", "err", err)
	}
}
