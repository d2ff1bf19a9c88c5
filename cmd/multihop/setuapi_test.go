package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"multihop/router"
)

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
