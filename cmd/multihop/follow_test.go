package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/packet"
	"multihop/router"
	"multihop/tun"
)

// opens counts how often the sockets of hops on the host's network are opened.
type opens struct {
	conn.Bind
	n *atomic.Int32
}

func (o opens) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	o.n.Add(1)
	return o.Bind.Open(port)
}

// initiationSize is that of WireGuard's first message of a handshake, in bytes.
const initiationSize = 148

// initiations collects who is asked for a session, in order.
type initiations struct {
	mu   sync.Mutex
	hops []string
}

// tap watches what comes to a relay.
func (i *initiations) tap(r demoRelay) {
	r.relay.Outside().Tap(func(sent bool, pkt []byte) {
		var m packet.Meta
		if sent || m.Parse(pkt) != packet.OK || m.Proto != packet.ProtoUDP || len(pkt) != 20+8+initiationSize {
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.hops = append(i.hops, r.name)
	})
}

// take returns those so far, once there are n of them.
func (i *initiations) take(t *testing.T, n int) []string {
	t.Helper()
	for range 1000 {
		i.mu.Lock()
		if hops := i.hops; len(hops) >= n {
			i.hops = nil
			i.mu.Unlock()
			return hops
		}
		i.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %d initiations, but %v", n, i.hops)
	return nil
}

// When boot time runs ahead of monotonic time, the host was asleep: the sockets
// are others then, and the sessions are renewed, carriers first.
func TestFollowClock(t *testing.T) {
	w, err := newDemoNet()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	plan, err := router.Compile(w.config())
	if err != nil {
		t.Fatal(err)
	}
	dev, stack, err := netstack.CreateNetTUN(plan.Addrs, nil, plan.MTU)
	if err != nil {
		t.Fatal(err)
	}
	var seen initiations
	for _, relay := range w.relays {
		seen.tap(relay)
	}
	var opened atomic.Int32
	r := router.New(&router.Options{Bind: func(string) conn.Bind { return opens{w.net.Bind(w.client), &opened} }})
	defer r.Close()
	if err := r.SetTUN(tun.Queue(dev)); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	defer running.Wait()
	defer cancel()

	transport := &http.Transport{DialContext: stack.DialContext}
	client := &http.Client{Transport: transport}
	defer transport.CloseIdleConnections()
	deep := "http://" + w.sites[1].addr.String() + "/"
	if _, err := fetchPage(ctx, client, deep, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := seen.take(t, 2); !slices.Equal(got, []string{"entry", "exit"}) {
		t.Fatalf("first initiations: %v", got)
	}

	for deadline := time.Now().Add(10 * time.Second); len(silent(r.Status())) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the router does not know of its sessions")
		}
	}

	var asleep atomic.Int64 // boot time less monotonic time
	in := &instance{log: slog.New(slog.DiscardHandler), router: r, bare: true}
	running.Go(func() {
		in.followClock(ctx, func() time.Duration { return time.Duration(asleep.Load()) }, 10*time.Millisecond)
	})
	before := opened.Load()
	asleep.Add(int64(sleepLeast - time.Millisecond)) // the clocks are read one after the other
	time.Sleep(300 * time.Millisecond)
	if seen.mu.Lock(); len(seen.hops) > 0 || opened.Load() != before {
		t.Errorf("initiations %v and %d new sockets though nobody slept", seen.hops, opened.Load()-before)
	}
	seen.mu.Unlock()

	asleep.Add(int64(8 * time.Hour))
	if got := seen.take(t, 2); !slices.Equal(got, []string{"entry", "exit"}) {
		t.Errorf("initiations after the sleep: %v, want the carrier's first", got)
	}
	if opened.Load() == before {
		t.Error("the sockets are those of before the sleep")
	}
	if _, err := fetchPage(ctx, client, deep, time.Time{}); err != nil {
		t.Errorf("after the sleep: %v", err)
	}
}

// Who is told of events never waits for a change that is under way; the routes'
// MTUs do.
func TestEventMTUDoesNotWait(t *testing.T) {
	in := newInstance("mh9", nil, new(progress), slog.New(slog.DiscardHandler))
	in.changing.Lock()
	told := make(chan struct{})
	go func() {
		defer close(told)
		tell := in.onEvent()
		tell(router.Event{Kind: router.EventMTU, Hop: "entry", MTU: 1300})
		tell(router.Event{Kind: router.EventMTU, Hop: "exit", MTU: 1240})
	}()
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Error("an event waits for a change")
	}
	if len(in.mtuChanged) != 1 {
		t.Errorf("%d tokens, want 1", len(in.mtuChanged))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in.followMTUs(ctx)
	}()
	for deadline := time.Now().Add(5 * time.Second); len(in.mtuChanged) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody takes the token")
		}
	}
	in.changing.Unlock()
	cancel()
	<-ended
}

// runRouter runs r with a plan, to the end of the test.
func runRouter(t *testing.T, r *router.Router, plan *router.Plan) {
	t.Helper()
	dev, _, err := netstack.CreateNetTUN(plan.Addrs, nil, plan.MTU)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.SetTUN(tun.Queue(dev)), r.Apply(t.Context(), plan)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	for deadline := time.Now().Add(10 * time.Second); len(r.Status().Hops) < len(plan.Hops); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the router does not run")
		}
	}
}
