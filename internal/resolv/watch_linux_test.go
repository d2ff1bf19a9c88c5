package resolv

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// watch runs Watch until the test ends, and returns how often it called.
func (h *host) watch(r Record) *atomic.Int32 {
	h.t.Helper()
	var calls atomic.Int32
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error)
	go func() { done <- h.Watch(ctx, r, func() { calls.Add(1) }) }()
	h.t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				h.t.Errorf("Watch: %v", err)
			}
		case <-time.After(10 * time.Second):
			h.t.Error("Watch did not end")
		}
	})
	wait(h.t, "Watch has begun", func() bool { return calls.Load() > 0 })
	return &calls
}

// quiet waits until Watch has told everything, and returns the number of calls.
func quiet(calls *atomic.Int32) int32 {
	for n := calls.Load(); ; {
		time.Sleep(4 * settle)
		if m := calls.Load(); m != n {
			n = m
			continue
		}
		return n
	}
}

func TestWatchFile(t *testing.T) {
	h := newHost(t)
	h.write("/run/theirs/resolv.conf", lan)
	h.symlink("../run/theirs/resolv.conf", resolvConf)
	r := h.up(settings("mh0", "10.64.0.1"))
	calls := h.watch(r)
	for _, tt := range []struct {
		name   string
		change func()
	}{
		{"written", func() { h.write(resolvConf, lan) }},
		{"renamed", func() {
			h.write("/etc/resolv.conf.new", lan)
			if err := os.Rename(h.path("/etc/resolv.conf.new"), h.path(resolvConf)); err != nil {
				t.Fatal(err)
			}
		}},
		{"written again", func() { h.write(resolvConf, lan) }},
		{"removed", func() { _ = os.Remove(h.path(resolvConf)) }},
		{"a link", func() { h.symlink("../run/theirs/resolv.conf", resolvConf) }},
		{"written where it leads", func() { h.write("/run/theirs/resolv.conf", "# new\n"+lan) }},
		{"removed where it leads", func() { _ = os.Remove(h.path("/run/theirs/resolv.conf")) }},
	} {
		before := quiet(calls)
		tt.change()
		wait(t, tt.name, func() bool { return calls.Load() > before })
	}
	n := quiet(calls)
	for range 100 {
		if _, err := h.read(); err != nil {
			t.Fatal(err)
		}
		h.write(resolvConf, lan)
	}
	if m := quiet(calls); m == n || m > n+10 {
		t.Errorf("%d calls for changes that came together", m-n)
	}
}

func TestWatchErrors(t *testing.T) {
	h := newHost(t)
	if err := h.Watch(t.Context(), Record{}, func() {}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without /etc: %v", err)
	}
	h.write(resolvConf, lan)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Watch(ctx, Record{Resolved: true}, func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: %v", err)
	}
}

// A resolv.conf that is mounted is written without its folder's knowing.
func TestWatchMount(t *testing.T) {
	if !inside(t) {
		return
	}
	setup(t)
	h := real(t)
	h.write("/run/theirs/resolv.conf", lan)
	_ = os.Remove(resolvConf)
	h.write(resolvConf, "")
	bind(t, "/run/theirs/resolv.conf", resolvConf)
	calls := h.watch(Record{})
	before := quiet(calls)
	h.write("/run/theirs/resolv.conf", "# new\n"+lan)
	wait(t, "written in place", func() bool { return calls.Load() > before })
}

// What is changed at resolved, and a resolved that was started again, are told;
// one that is stopped is not: there is nobody to tell the settings to.
func TestWatchResolved(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	r := h.up(settings("mh0", "10.64.0.1"))
	calls := h.watch(r)
	quiet(calls)

	before := calls.Load()
	run(t, "resolvectl", "revert", "mh0")
	wait(t, "reverted", func() bool { return calls.Load() > before })
	next := h.intact(r, false)
	if _, err := h.Apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	quiet(calls)

	h.stop()
	if err := os.RemoveAll("/run/systemd/resolve/netif"); err != nil {
		t.Fatal(err)
	}
	before = quiet(calls)
	h.startResolved()
	wait(t, "started again", func() bool { return calls.Load() > before })
	h.intact(r, false)
}

// A bus that was started again is watched again.
func TestWatchBus(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	calls := h.watch(h.up(settings("mh0", "10.64.0.1")))
	h.stop()
	h.stopBus()
	quiet(calls)
	h.startBus()
	h.startResolved()
	wait(t, "the new bus is watched", func() bool {
		before := calls.Load()
		run(t, "resolvectl", "dns", "mh0", "10.64.0.9")
		time.Sleep(4 * settle)
		run(t, "resolvectl", "dns", "mh0", "10.64.0.1")
		time.Sleep(4 * settle)
		return calls.Load() >= before+2
	})
}
