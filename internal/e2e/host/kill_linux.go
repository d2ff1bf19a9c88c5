package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Moment of a command's run: after a time, or at one of the writes of the
// instance's journal, whichever is set.
type Moment struct {
	After time.Duration
	Write int // counts from 1
}

// KillDuring runs a command of the binary under test on the host and, at a moment
// of its run, ends all processes of that binary by SIGKILL. It reports whether the
// command had not come to its own end.
func (i *Instance) KillDuring(tb testing.TB, at Moment, args ...string) (early bool) {
	tb.Helper()
	written := make(<-chan struct{})
	if at.Write > 0 {
		w, err := watchJournal(filepath.Join(i.net.Host.Root(), "run/multihop"), i.Name+".json", at.Write)
		if err != nil {
			tb.Fatal(err)
		}
		defer w.close()
		written = w.reached
	}
	var after <-chan time.Time
	if at.Write == 0 {
		after = time.After(at.After)
	}
	done := make(chan error, 1)
	go func() {
		_, err := i.net.Multihop(args...)
		done <- err
	}()
	ended := false
	var running []int // looked for beforehand: the next write is soon
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			running = i.net.Host.Processes(i.net.Programs.Multihop)
			continue
		case <-written:
		case <-after:
		case <-done:
			ended = true
		}
		waiting = false
	}
	i.net.killAll(tb, running...)
	if !ended {
		err := <-done
		ended = err == nil || !strings.Contains(err.Error(), "killed")
		i.net.killAll(tb) // of a command that had not even begun
	}
	return !ended
}

// killAll ends all processes of the binary under test, first those that are known,
// and returns once they are gone.
func (n *Network) killAll(tb testing.TB, known ...int) {
	tb.Helper()
	killed := make(map[int]bool)
	running := known
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		for _, pid := range running {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				tb.Fatalf("kill -9 %d: %v", pid, err)
			}
			killed[pid] = true
		}
		for pid := range killed { // one that ends has files open when it has no program any more
			if syscall.Kill(pid, 0) != nil {
				delete(killed, pid)
			}
		}
		running = n.Host.Processes(n.Programs.Multihop)
		if len(running)+len(killed) == 0 {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("%d processes do not end by SIGKILL", len(killed))
		}
	}
}

// A journalWatch counts how often a file is put in its place.
type journalWatch struct {
	reached chan struct{} // closed at the write that was asked for
	f       *os.File
	done    chan struct{}
}

func watchJournal(dir, name string, write int) (*journalWatch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	w := &journalWatch{reached: make(chan struct{}), f: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{})}
	go w.count(name, write)
	return w, nil
}

func (w *journalWatch) count(name string, write int) {
	defer close(w.done)
	b := make([]byte, 64<<10)
	for {
		n, err := w.f.Read(b)
		if err != nil {
			return // closed
		}
		// Each event is its header and the file's name: which occurs as often as
		// there are events about it.
		if write -= strings.Count(string(b[:n]), name+"\x00"); write <= 0 {
			close(w.reached)
			return
		}
	}
}

func (w *journalWatch) close() {
	_ = w.f.Close()
	<-w.done
}
