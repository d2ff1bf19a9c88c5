package main

import (
	"context"
	"net/netip"
	"time"

	"multihop/internal/beat"
	"multihop/internal/control"
	"multihop/router"
)

const (
	sleepCheck = 3 * time.Second // how often it is looked whether the host slept
	sleepLeast = time.Second     // shorter ones are none
	watchAgain = 3 * time.Second // after a failure
)

// follow has the router and the host follow what changes under them: links,
// addresses, routes.
func (in *instance) follow(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-in.begun:
	}
	if in.bare {
		return
	}
	in.changing.Lock()
	in.uplink.changed(addrsOf(rootEndpoints(in.router.Status())))
	in.changing.Unlock()
	for ctx.Err() == nil {
		err := in.host.Watch(ctx, func() { in.networkChanged(ctx) })
		if ctx.Err() != nil {
			return
		}
		in.log.Warn("changes of the host's network are not noticed for a moment", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
		in.networkChanged(ctx)
	}
}

// networkChanged gives the hops on the host's network new sockets if the way to
// their endpoints changed, and takes over what else did: its MTU, the host's own
// resolvers.
func (in *instance) networkChanged(ctx context.Context) {
	in.changing.Lock()
	defer in.changing.Unlock()
	if in.ending || in.bare {
		return
	}
	if in.uplink.changed(addrsOf(rootEndpoints(in.router.Status()))) {
		in.log.Info("network changed: new sockets")
		if err := in.router.NetworkChanged(); err != nil {
			in.log.Warn("network changed", "err", err)
		}
	}
	before := in.inForce()
	if in.lookAround(ctx, before).equal(before.around) {
		in.lookForTrouble(before)
		return
	}
	next, err := in.desire(ctx, before.conf)
	if err == nil {
		err = in.replace(ctx, before, next)
	}
	if err != nil && ctx.Err() == nil {
		in.log.Warn("the new network is not followed", "err", err)
	}
}

// followSleep has the router begin anew when the host was suspended.
func (in *instance) followSleep(ctx context.Context) {
	in.followClock(ctx, slept, sleepCheck)
}

// followClock looks every so often at slept, for how long the host has been
// suspended so far. After that peers have forgotten their sessions, and the
// network may be another: sockets are made again, sessions renewed, carriers
// first, and what else the network says is taken over.
func (in *instance) followClock(ctx context.Context, slept func() time.Duration, every time.Duration) {
	tick := time.NewTicker(beat.Until(every))
	defer tick.Stop()
	for before := slept(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tick.Reset(beat.Until(every))
		}
		now := slept()
		if now-before >= sleepLeast {
			in.log.Info("the host was suspended: new sockets and sessions", "for", (now - before).Round(time.Second))
			if err := in.router.NetworkChanged(); err != nil {
				in.log.Warn("network changed", "err", err)
			}
			in.router.Resumed()
			in.networkChanged(ctx)
		}
		before = now
	}
}

// onEvent returns the router's OnEvent. It logs a hop's first handshake and, as a
// detail, the later ones, has followMTUs give the kernel's routes a hop's new MTU,
// and lets datagrams out to where a peer was heard from. The router logs by itself
// what goes up and down. It never waits for changing: further events would wait for
// it.
func (in *instance) onEvent() func(router.Event) {
	done := make(map[string]bool)
	return func(e router.Event) {
		switch e.Kind {
		case router.EventDown:
			delete(done, e.Hop)
			in.tellService()
		case router.EventUp:
			in.tellService()
		case router.EventHandshake:
			first := !done[e.Hop]
			done[e.Hop] = true
			say := in.log.Debug
			if first {
				say = in.log.Info
			}
			say("handshake", "hop", e.Hop)
			if first {
				in.tellService()
			}
		case router.EventMTU:
			select {
			case in.mtuChanged <- struct{}{}:
			default: // one waits already
			}
		case router.EventRoam:
			in.roamed(e)
		}
	}
}

// followMTUs gives the kernel's routes the hops' new MTUs, those of a change that
// is under way once it is in force.
func (in *instance) followMTUs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.mtuChanged:
		}
		in.changing.Lock()
		in.syncRouteMTUs()
		in.changing.Unlock()
	}
}

// tellService has systemctl status say what multihop status does.
func (in *instance) tellService() {
	if in.up.Load() {
		line, _ := verdictOn(in.name, control.Status{Status: in.router.Status()}, nil)
		in.service.status(line)
	}
}

// syncRouteMTUs gives the kernel's routes the MTUs that the hops have now, which
// may be less than planned. It needs changing held.
func (in *instance) syncRouteMTUs() {
	d := in.inForce()
	if d == nil || in.bare || in.ending {
		return
	}
	now := make(map[string]int)
	for _, h := range in.router.Status().Hops {
		now[h.Name] = h.MTU
	}
	addRoutes(now, d.plan)
	for hop, mtu := range now {
		if mtu == in.routeMTUs[hop] {
			continue
		}
		if err := in.host.SetRouteMTU(hop, mtu); err != nil {
			in.log.Warn("routes keep their MTU", "hop", hop, "mtu", mtu, "err", err)
			continue // it is tried again with the next change
		}
		in.routeMTUs[hop] = mtu
	}
}

// plannedMTUs is what the kernel's routes have after the host was told of a plan.
func plannedMTUs(plan *router.Plan) map[string]int {
	out := make(map[string]int)
	for _, h := range plan.Hops {
		out[h.Name] = h.MTU
	}
	addRoutes(out, plan)
	return out
}

// routeKey is the name under which the host knows the MTU of a route: that of its
// hop or group, and of what stands in for it, which no hop's name looks like.
func routeKey(r *router.PlanRoute) string {
	if r.Fallback == "" {
		return r.Hop
	}
	return r.Hop + ", else " + r.Fallback
}

// addRoutes adds to the MTUs of hops those of routes that more than one hop may
// serve: the smallest of these, whichever does.
func addRoutes(mtus map[string]int, plan *router.Plan) {
	addGroups(mtus, plan)
	for i := range plan.Routes {
		if r := &plan.Routes[i]; r.Fallback != "" && mtus[r.Hop] > 0 && mtus[r.Fallback] > 0 {
			mtus[routeKey(r)] = min(mtus[r.Hop], mtus[r.Fallback])
		}
	}
}

// addGroups adds to the MTUs of hops those of groups: of their smallest hop.
func addGroups(mtus map[string]int, plan *router.Plan) {
	for _, g := range plan.Groups {
		least := 0
		for _, name := range g.Hops {
			if mtu, ok := mtus[name]; ok && (least == 0 || mtu < least) {
				least = mtu
			}
		}
		if least > 0 {
			mtus[g.Name] = least
		}
	}
}

// roamed lets datagrams out to where the peer of a hop on the host's network
// has gone: what it sent from there was authenticated.
func (in *instance) roamed(e router.Event) {
	d := in.inForce()
	if d == nil || !e.Endpoint.IsValid() {
		return
	}
	for _, h := range d.plan.Hops {
		if h.Name != e.Hop || h.Via != "" {
			continue
		}
		if err := in.allow([]netip.AddrPort{e.Endpoint}); err != nil {
			in.log.Warn("a peer has moved where nothing may be sent", "hop", e.Hop, "err", err)
		}
	}
}
