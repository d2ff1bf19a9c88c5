package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/router"
)

// newBareInstance is one that is up with two hops, and has no host to tell.
func newBareInstance(t *testing.T, logTo *bytes.Buffer) *instance {
	t.Helper()
	w, err := newDemoNet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.close() })
	in := newInstance("mh9", nil, new(progress), slog.New(slog.NewTextHandler(logTo, nil)))
	in.bare, in.life, in.router = true, t.Context(), router.New(&router.Options{
		Bind: func(string) conn.Bind { return w.net.Bind(w.client) },
	})
	in.uplink.routeTo = func(netip.Addr) (host.Path, error) { return host.Path{}, host.ErrNoRoute }
	t.Cleanup(func() { _ = errors.Join(in.closeUAPI(), in.router.Close()) })
	d, err := in.desire(t.Context(), &conf.Instance{Config: w.config()})
	if err != nil {
		t.Fatal(err)
	}
	in.setForce(d)
	runRouter(t, in.router, d.plan)
	close(in.begun)
	return in
}

// TestSetWarns: what is to be known about what wg changes is in the log.
func TestSetWarns(t *testing.T) {
	var logged bytes.Buffer
	in := newBareInstance(t, &logged)
	if err := (wgHop{in, "entry"}).Set(t.Context(), strings.NewReader("listen_port=51821\n\n")); err != nil {
		t.Fatal(err)
	}
	if got := logged.String(); !strings.Contains(got, "its MTU is a guess") || !strings.Contains(got, "changed by wg") {
		t.Errorf("logged:\n%s", got)
	}
}

// TestLockChanging: who waits for another change ends with its context, or after a
// while, and has the lock otherwise.
func TestLockChanging(t *testing.T) {
	in := new(instance)
	if err := in.lockChanging(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := in.lockChanging(ctx, time.Minute); err == nil {
		t.Error("locked twice")
	}
	if err := in.lockChanging(t.Context(), 20*time.Millisecond); err == nil {
		t.Error("locked twice")
	}
	time.AfterFunc(20*time.Millisecond, in.changing.Unlock)
	if err := in.lockChanging(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestCodeOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int64
	}{
		{fmt.Errorf("router: %w", syscall.EADDRINUSE), -98},
		{errors.Join(errors.New("x"), &router.ConfigError{Field: "MTU", Err: errors.New("y")}), -1},
		{errors.New("x"), -5},
	} {
		if got := codeOf(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}
