package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/conf"
	"multihop/internal/control"
	"multihop/internal/host"
	"multihop/internal/lookup"
	"multihop/internal/sock"
	"multihop/internal/uapi"
	"multihop/router"
	"multihop/tun"
)

// An instance is one running router with all that belongs to it on the host.
//
// changing is held while what is in force changes, from the question what is
// desired to the last change that follows; mu only guards what it stands above.
type instance struct {
	name     string // of the TUN
	order    *order // what it was asked to run; read again by a reload
	progress *progress
	log      *slog.Logger
	service  service

	names  *names
	uplink *uplink
	hooks  *hooks
	events *control.Feed
	host   *host.Host
	bare   bool // this system cannot be told anything: the user does it
	dry    bool // nothing is to be done
	router *router.Router

	life    context.Context    // ends when the instance begins to
	stop    context.CancelFunc // ends life, as asked
	begun   chan struct{}      // closed when it can be asked
	ended   chan struct{}      // closed when everything is undone
	undone  error              // how that ended; set before ended is closed
	undo    []func() error     // in the order of what they undo
	up      atomic.Bool        // it came up
	told    bool               // the host, something
	adopted bool               // what a crash left was there before it came

	changing sync.Mutex
	ending   bool                    // nothing changes any more; guarded by changing
	uapi     map[string]*uapi.Server // by hop
	serving  sync.WaitGroup          // uapi

	routeMTUs  map[string]int // of the kernel's routes, by hop; guarded by changing
	mtuChanged chan struct{}  // a token: a hop has another one

	mu      sync.Mutex
	force   *desired // what is in force; nil: nothing yet
	trouble []string // what is wrong now, for show
}

func newInstance(name string, o *order, p *progress, log *slog.Logger) *instance {
	in := &instance{
		name: name, order: o, progress: p, log: log,
		service: service{log},
		hooks:   &hooks{tun: name, log: log, trace: p.trace},
		events:  control.NewFeed(),
		uapi:    make(map[string]*uapi.Server),
		begun:   make(chan struct{}),
		ended:   make(chan struct{}),

		mtuChanged: make(chan struct{}, 1),
	}
	in.uplink = &uplink{tun: name, routeTo: in.routeTo}
	in.names = &names{
		log: log, reaches: reachable(in.routeTo), allow: in.allow,
		inside: in.listenInside, carrier: in.carrierOf, ask: (*lookup.Client).Lookup,
	}
	return in
}

// run runs the instance until ctx ends, it is told to stop, or something that it
// needs fails; then it undoes what was done, last step first. But if nobody asked
// for the end of one that was up, the host stays as it is, closed, for the next
// start to take over.
func (in *instance) run(ctx context.Context) error {
	ctx, in.stop = context.WithCancel(ctx)
	defer in.stop()
	in.life = ctx
	l, err := in.takeName()
	if err != nil {
		return err
	}
	answering, silence := context.WithCancel(context.Background())
	defer silence()
	var answered sync.WaitGroup
	answered.Go(func() { // packets matter more than questions: not fatal
		if err := control.Serve(answering, l, in, in.events, in.log); err != nil {
			in.log.Error("multihop show does not work any more", "err", err)
		}
	})
	err = in.live(ctx)
	in.changing.Lock()
	in.ending = true
	in.changing.Unlock()
	err = errors.Join(err, in.releaseHost())
	for i := len(in.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, in.undo[i]())
	}
	in.undone = err
	close(in.ended)
	silence() // the last, for who has the name may change the host under it
	answered.Wait()
	return err
}

func (in *instance) onExit(f func() error) { in.undo = append(in.undo, f) }

// takeName makes the control socket, which only one instance of a name can have.
func (in *instance) takeName() (net.Listener, error) {
	l, err := control.Listen(control.Dir, in.name)
	if errors.Is(err, sock.ErrInUse) {
		return nil, fmt.Errorf("%s: an instance of that name runs: choose another with --name: %w", in.name, err)
	}
	return l, err
}

// live sets the instance up and carries packets until ctx ends or something
// fails.
func (in *instance) live(ctx context.Context) error {
	if err := in.setUp(ctx); err != nil {
		return asked(ctx, err)
	}
	err := in.serve(ctx)
	if in.up.Load() {
		in.undo = append([]func() error{func() error { // once all else is undone
			in.runDown("PostDown", in.inForce().conf.Settings.PostDown)
			return nil
		}}, in.undo...)
	}
	return asked(ctx, err)
}

// runDown runs the hooks of a stage that is on the way down: whatever becomes of
// them, it goes on.
func (in *instance) runDown(stage string, list []conf.Hook) {
	if err := in.hooks.run(context.Background(), stage, list); err != nil {
		in.log.Error("going down all the same", "err", err)
	}
}

// asked drops an error that is only ctx's end: somebody asked for that.
func asked(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// setUp makes the TUN and tells the host of it.
func (in *instance) setUp(ctx context.Context) error {
	d, err := in.prepare(ctx)
	if err != nil {
		return err
	}
	if list := d.conf.Settings.PreUp; len(list) > 0 {
		if err := in.hooks.run(ctx, "PreUp", list); err != nil {
			return err
		}
		if d, err = in.desire(ctx, d.conf); err != nil { // the hook may have changed the network
			return err
		}
	}
	in.names.use(d.scope)
	if err := in.openTUN(ctx, d); err != nil {
		return err
	}
	in.onExit(in.closeUAPI)
	if err := in.syncUAPI(d.plan); err != nil {
		return err
	}
	in.setForce(d)
	in.routeMTUs = plannedMTUs(d.plan)
	return in.tellHost(ctx, d)
}

// openTUN makes the TUN and the router that owns it.
func (in *instance) openTUN(ctx context.Context, d *desired) error {
	in.progress.trace(tunLine(in.name))
	var dev wgtun.Device
	err := in.inNamespace(func() (err error) {
		dev, err = tun.Open(in.name, d.plan.MTU)
		return err
	})
	if err != nil {
		return err
	}
	if in.name, err = dev.Name(); err != nil { // some systems choose it
		return errors.Join(err, dev.Close())
	}
	in.uplink.tun = in.name
	act := in.onEvent()
	in.router = router.New(&router.Options{Logger: in.log, Resolve: in.names.resolve, OnEvent: func(e router.Event) {
		in.events.Publish(e)
		act(e)
	}})
	in.onExit(in.router.Close)
	if err := in.router.SetTUN(dev); err != nil {
		return errors.Join(err, dev.Close())
	}
	return in.router.Apply(ctx, d.plan) // Run starts it
}

// serve carries packets until life ends or one of the parts fails, and waits for
// all of them. The TUN outlives life by the PreDown hooks.
func (in *instance) serve(life context.Context) error {
	ctx, end := context.WithCancel(context.WithoutCancel(life))
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-life.Done():
		case <-ctx.Done():
		}
		in.service.stopping()
		if in.up.Load() {
			in.runDown("PreDown", in.inForce().conf.Settings.PreDown)
		}
		end()
		return nil
	})
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
	g.Go(func() error {
		return in.begin(ctx)
	})
	g.Go(func() error {
		in.follow(ctx)
		return nil
	})
	g.Go(func() error {
		in.followMTUs(ctx)
		return nil
	})
	g.Go(func() error {
		in.followSleep(ctx)
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-in.begun: // hooks may take their time
			in.service.watchdog(ctx, in.alive)
		}
		return nil
	})
	err := g.Wait()
	if err == nil {
		in.log.Info("stopped", "tun", in.name)
	}
	return err
}

// begin does what is left to do once the router runs, and says that the
// instance is up.
func (in *instance) begin(ctx context.Context) error {
	if err := in.started(ctx); err != nil {
		return err
	}
	d := in.inForce()
	if err := in.hooks.run(ctx, "PostUp", d.conf.Settings.PostUp); err != nil {
		return err
	}
	if err := d.needs.drop(); err != nil {
		return err
	}
	close(in.begun)
	if limit := in.order.wait; limit > 0 {
		if err := in.waitHandshakes(ctx, limit); err != nil {
			return err
		}
	}
	in.up.Store(true)
	in.log.Info("running", "tun", in.name, "hops", len(d.plan.Hops))
	in.service.ready()
	in.tellService()
	in.progress.ready()
	return nil
}

// started waits until the router has taken its plan over.
func (in *instance) started(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(in.router.Status().Hops) < len(in.inForce().plan.Hops) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (in *instance) inForce() *desired {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.force
}

func (in *instance) setForce(d *desired) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.force = d
}
