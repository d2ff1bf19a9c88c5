//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// notifySocket is systemd's side of sd_notify; next returns what it is told next.
func notifySocket(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestService(t *testing.T) {
	next := notifySocket(t)
	s := service{slog.New(slog.DiscardHandler)}
	tests := []struct {
		name string
		tell func()
		want string
	}{
		{"ready", s.ready, `READY=1`},
		{"status", func() { s.status("mh0: running, 2 hops up") }, `STATUS=mh0: running, 2 hops up`},
		{"stopping", s.stopping, `STOPPING=1\nSTATUS=.*`},
		{"reloading", s.reloading, `RELOADING=1\nMONOTONIC_USEC=[0-9]+`},
	}
	for _, tt := range tests {
		if tt.name == "reloading" && runtime.GOOS != "linux" {
			continue
		}
		tt.tell()
		if got := next(); !regexp.MustCompile("^" + tt.want + "$").MatchString(got) {
			t.Errorf("%s: told %q, want %s", tt.name, got, tt.want)
		}
	}
}

// A look that fails does not keep systemd waiting for the most of a period; a
// lasting hang does, for good.
func TestWatchdog(t *testing.T) {
	next := notifySocket(t)
	const period = 900 * time.Millisecond
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(period.Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	s := service{slog.New(slog.DiscardHandler)}
	asked, ended := 0, make(chan struct{})
	go func() {
		s.watchdog(ctx, func(ctx context.Context) error {
			asked++
			switch asked {
			case 1, 4:
				return nil
			case 2:
				return errors.New("something hangs")
			}
			<-ctx.Done() // hangs itself
			return ctx.Err()
		})
		close(ended)
	}()
	var told [2]time.Time
	for i := range told {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("told %q", got)
		}
		told[i] = time.Now()
	}
	if gap := told[1].Sub(told[0]); gap > period*3/4 {
		t.Errorf("told after %v of %v, for two looks in vain", gap, period)
	}
	time.Sleep(period)
	cancel()
	<-ended
	s.status("the end")
	if got := next(); got != "STATUS=the end" {
		t.Errorf("told %q while it hangs", got)
	}
	if asked < 7 {
		t.Errorf("looked %d times in two periods", asked)
	}
}

// Without systemd nothing is told, and nothing waits.
func TestNoService(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log strings.Builder
	s := service{slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s.ready()
	s.watchdog(t.Context(), func(context.Context) error {
		t.Error("a watchdog without systemd")
		return nil
	})
	if log.Len() != 0 {
		t.Errorf("logged %q", log.String())
	}
}
