package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"syscall"
	"time"

	"multihop/internal/uapi"
	"multihop/router"
)

// setWait bounds how long wg waits for another change to end.
const setWait = 10 * time.Second

// What wg is told, where package router does not say it: negated errno of Linux.
const (
	codeRefused = -1  // EPERM
	codeIO      = -5  // EIO
	codeBusy    = -16 // EBUSY
	codeInUse   = -98 // EADDRINUSE
)

// A wgHop is what wg knows of one hop of an instance.
type wgHop struct {
	in  *instance
	hop string
}

var _ uapi.Device = wgHop{}

// Get implements uapi.Device.
func (w wgHop) Get(to io.Writer) error { return w.in.router.UAPI(w.hop, to) }

// Set implements uapi.Device: what wg says becomes part of the configuration in
// force, and takes the way of a reload. The next reload goes back to the files.
func (w wgHop) Set(ctx context.Context, lines io.Reader) error {
	in := w.in
	if err := in.ready(ctx); err != nil {
		return err
	}
	if err := in.lockChanging(ctx, setWait); err != nil {
		return &router.UAPIError{Code: codeBusy, Err: fmt.Errorf("hop %s: %w", w.hop, err)}
	}
	defer in.changing.Unlock()
	if in.ending {
		return errEnded
	}
	before := in.inForce()
	cfg, err := in.router.EditUAPI(before.conf.Config, w.hop, lines)
	if err != nil {
		return err
	}
	h := hopNamed(&cfg, w.hop)
	if reflect.DeepEqual(h, hopNamed(&before.conf.Config, w.hop)) {
		return nil
	}
	if h.FwMark != 0 {
		return &router.UAPIError{Code: codeRefused, Err: fmt.Errorf(
			"hop %s: fwmark: the rules of the host go by the instance's own: FwMark in the profile, or --fwmark, changes it", w.hop)}
	}
	c := *before.conf
	c.Config = cfg
	next, err := in.desire(ctx, &c)
	if err == nil {
		err = in.replace(ctx, before, next)
	}
	if err != nil {
		return &router.UAPIError{Code: codeOf(err), Err: fmt.Errorf("hop %s: %w", w.hop, err)}
	}
	for _, text := range next.warnings {
		in.log.Warn(text)
	}
	in.log.Info("changed by wg, until the next reload", "hop", w.hop)
	return nil
}

// codeOf returns the errno for why a change failed.
func codeOf(err error) int64 {
	var wrong *router.ConfigError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return codeInUse
	case errors.As(err, &wrong):
		return codeRefused
	}
	return codeIO
}

// lockChanging locks in.changing, but waits for it no longer than ctx and limit
// allow: a reload holds it while it closes what may be waiting for it.
func (in *instance) lockChanging(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !in.changing.TryLock() {
		select {
		case <-ctx.Done():
			return errors.New("another change is under way")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
