package firewall

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settle is how long Watch waits after it has looked: changes come in bursts.
	settle = 100 * time.Millisecond

	// retry is how long it waits after a call of lost, to see what came of it.
	retry = 500 * time.Millisecond
)

// Watch calls lost, from the calling goroutine, when the table of the last Apply
// is not as Apply and SetEndpoints left it: others have changed it or taken it
// away. It looks when it begins, after every change of any table of the network
// namespace, and after lost, which it calls again while the table differs. lost
// may use f. Watch returns nil when ctx ends or f is closed. One at a time.
func (f *Firewall) Watch(ctx context.Context, lost func()) error {
	if err := errors.Join(f.events.SetReadDeadline(time.Time{}), f.events.JoinGroup(unix.NFNLGRP_NFTABLES)); err != nil {
		return fmt.Errorf("firewall: watch: %w", err)
	}
	changes := make(chan struct{}, 1)
	changes <- struct{}{}
	failed := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() { failed <- f.receive(changes) })
	defer func() {
		_ = f.events.SetReadDeadline(time.Unix(1, 0)) // ends the reader
		reader.Wait()
		_ = f.events.LeaveGroup(unix.NFNLGRP_NFTABLES)
	}()

	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if f.isClosed() {
				return nil
			}
			return fmt.Errorf("firewall: watch: %w", err)
		case <-changes:
		}
		wait := settle
		if !f.intact() && ctx.Err() == nil && !f.isClosed() {
			lost()
			token(changes)
			wait = retry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// receive puts a token into changes after every message, until the socket is
// closed or its deadline is over.
func (f *Firewall) receive(changes chan struct{}) error {
	for {
		_, err := f.events.Receive()
		// ENOBUFS: more changes than the socket holds, so there are some.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		token(changes)
	}
}

func token(changes chan struct{}) {
	select {
	case changes <- struct{}{}:
	default:
	}
}

// intact reports whether the table of the last Apply is known to be as it was
// left. No table is to be left, if there was none.
func (f *Firewall) intact() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.applied == nil {
		return true
	}
	ok, err := f.presentLocked(f.applied)
	return ok && err == nil
}

func (f *Firewall) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}
