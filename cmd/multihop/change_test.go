package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestChangeTellsItsOwn: a change tells what it did, and not what is done to the
// host while it is being worked out; and whoever goes on telling does not meet it.
func TestChangeTellsItsOwn(t *testing.T) {
	in := newBareInstance(t, new(bytes.Buffer))
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	others.Go(func() { // as Host.Watch does
		for ctx.Err() == nil {
			in.progress.trace("[#] restored")
			time.Sleep(100 * time.Microsecond)
		}
	})
	no := errors.New("no")
	for _, want := range []error{no, nil} {
		done, err := in.change(t.Context(), "reload", func(ctx context.Context) (*desired, error) {
			in.progress.trace("[#] early")
			time.Sleep(10 * time.Millisecond)
			if want != nil {
				return nil, want
			}
			return in.desire(ctx, in.inForce().conf)
		})
		if !errors.Is(err, want) || slices.Contains(done.Changes, "[#] early") {
			t.Errorf("%v, want %v; changes %q", err, want, done.Changes)
		}
	}
	if in.progress.traced() {
		t.Error("somebody still listens")
	}
}

// Of many changes only the first are told.
func TestChangesOf(t *testing.T) {
	in := newInstance("mh9", nil, new(progress), nil)
	got, err := in.changesOf(func() error {
		for range 2 * maxChanges {
			in.progress.trace("[#] a")
		}
		return nil
	})
	if err != nil || len(got) != maxChanges+1 || got[maxChanges] != "... and more" {
		t.Errorf("%d changes, %v", len(got), err)
	}
}
