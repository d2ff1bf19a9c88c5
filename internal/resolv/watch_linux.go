package resolv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settle is how long changes are collected before they are told.
	settle = 100 * time.Millisecond
	// busRetry is how long Watch waits before it connects to a bus again.
	busRetry = 2 * time.Second
)

// Watch calls changed, on its own goroutine, when somebody may have changed
// what Apply of r did, and soon after it begins: time for a Check. Changes that
// come together are told once, and Apply's own are told too. Where a Check gives
// another record, Watch goes on with that one only if it is called again. It
// blocks until ctx ends, and returns the cause, or until resolv.conf cannot be
// watched.
func (y *System) Watch(ctx context.Context, r Record, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan struct{}, 1)
	tell := func() {
		select {
		case events <- struct{}{}:
		default: // one is waiting
		}
	}
	stopped := make(chan error, 2) // of the goroutines, which end with ctx
	running := 1
	go func() { stopped <- y.watchFile(ctx, tell) }()
	if r.Resolved {
		running++
		go func() { stopped <- y.watchBus(ctx, tell) }()
	}
	var err error
	for running > 0 {
		select {
		case <-events:
			if sleep(ctx, settle) == nil {
				drain(events)
				changed()
			}
		case e := <-stopped:
			running--
			if err == nil {
				err = e
			}
			cancel()
		}
	}
	return err
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain forgets an event that is told by the one before it.
func drain(events <-chan struct{}) {
	select {
	case <-events:
	default:
	}
}

// watchFile calls tell when resolv.conf may have changed, until ctx ends.
func (y *System) watchFile(ctx context.Context, tell func()) error {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("resolv: watch: %w", os.NewSyscallError("inotify_init1", err))
	}
	f := os.NewFile(uintptr(fd), "inotify")
	defer func() { _ = f.Close() }()
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	b := make([]byte, 4096)
	for {
		// Each time, because the name may lead elsewhere now.
		if err := y.addWatches(fd); err != nil {
			return fmt.Errorf("resolv: watch: %w", err)
		}
		tell() // after the watches: nothing is missed
		if _, err := f.Read(b); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			return fmt.Errorf("resolv: watch: %w", err)
		}
		if err := sleep(ctx, settle); err != nil {
			return err
		}
	}
}

// addWatches watches the folder of resolv.conf and, if it is a link, of each
// file that it leads to; and the file in the end, since writing to one that is
// mounted there does not show in the folder.
func (y *System) addWatches(fd int) error {
	const (
		inFolder = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_CLOSE_WRITE | unix.IN_ONLYDIR
		inFile   = unix.IN_CLOSE_WRITE
	)
	path := y.path(resolvConf)
	for range 8 { // links
		_, err := unix.InotifyAddWatch(fd, filepath.Dir(path), inFolder)
		if err != nil && path == y.path(resolvConf) {
			return &os.PathError{Op: "inotify_add_watch", Path: filepath.Dir(path), Err: err}
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	_, err := unix.InotifyAddWatch(fd, path, inFile)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		return &os.PathError{Op: "inotify_add_watch", Path: path, Err: err}
	}
	return nil
}
