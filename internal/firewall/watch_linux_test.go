package firewall

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// TestWatch has others change an unowned table in every way: it is put right
// within a second, by Apply in lost.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	f := open(t, w.client)
	f.plain = true
	c := w.config()
	apply(t, f, c)
	lost, stop := watch(t, f, func() {
		if err := f.Apply(c); err != nil {
			t.Error(err)
		}
	})
	for _, script := range []string{
		"flush ruleset",
		"delete table inet multihop-mh0",
		"flush table inet multihop-mh0",
		"flush chain inet multihop-mh0 output",
		"insert rule inet multihop-mh0 output accept",
		"add rule inet multihop-mh0 outside accept",
		"add chain inet multihop-mh0 output { policy accept; }",
		"add chain inet multihop-mh0 more { type filter hook output priority 7; }",
		"add set inet multihop-mh0 more { type ipv4_addr; }",
		"add table inet multihop-mh0 { flags dormant; }",
		"add element inet multihop-mh0 endpoints4 { 192.0.2.1 . 53 }",
		"delete element inet multihop-mh0 endpoints4 { 198.51.100.9 . 51820 }",
		"flush set inet multihop-mh0 tunnel6",
		"flush chain inet multihop-mh0 save\nadd rule inet multihop-mh0 save meta mark 0xcb1c meta l4proto udp ct mark set 0xcb1d",
	} {
		run(t, w.client, nft, script)
		select {
		case <-lost:
		case <-time.After(time.Second):
			t.Fatalf("not noticed within a second: %s", script)
		}
		present(t, f, c, script)
		settled(lost)
	}
	stop()
}

// TestWatchOwn makes changes of f's own, and of others elsewhere: no call.
func TestWatchOwn(t *testing.T) {
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	f := open(t, w.client)
	c := w.config()
	lost, stop := watch(t, f, func() { t.Error("lost was called") })
	apply(t, f, c)
	for i := range 20 {
		c.Endpoints = slices.Clone(c.Endpoints[:2])
		if i%2 == 0 {
			c.Endpoints = append(c.Endpoints, netip.MustParseAddrPort("192.0.2.1:1"))
		}
		if err := f.SetEndpoints(c.Endpoints); err != nil {
			t.Fatal(err)
		}
		apply(t, f, c)
		run(t, w.client, nft, "add table inet theirs\nflush table inet theirs")
	}
	present(t, f, c, "own changes")
	settled(lost)
	if err := f.Remove(c.Table); err != nil {
		t.Fatal(err)
	}
	settled(lost)
	stop()

}

// TestWatchEnds watches twice on one Firewall: the context ends the first one,
// Close the second.
func TestWatchEnds(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	for _, end := range []func(cancel func()){
		func(cancel func()) { cancel() },
		func(func()) { f.Close() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- f.Watch(ctx, func() { t.Error("lost was called") }) }()
		time.Sleep(2 * settle)
		end(cancel)
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Watch does not end")
		}
	}
	if err := f.Apply(w.config()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
}

// watch runs Watch until stop or the end of the test, and checks that it ends
// then. lost gets a token at each call.
func watch(t *testing.T, f *Firewall, then func()) (lost chan struct{}, stop func()) {
	t.Helper()
	lost = make(chan struct{}, 64)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- f.Watch(ctx, func() {
			then()
			lost <- struct{}{}
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Watch does not end")
		}
	})
	t.Cleanup(stop)
	return lost, stop
}

func present(t *testing.T, f *Firewall, c Config, after string) {
	t.Helper()
	if ok, err := f.Present(c); !ok || err != nil {
		t.Errorf("Present after %s: %v, %v", after, ok, err)
	}
}

// settled waits until Watch has looked again, and takes the calls of that time.
func settled(lost chan struct{}) {
	time.Sleep(retry + settle)
	for len(lost) > 0 {
		<-lost
	}
}
