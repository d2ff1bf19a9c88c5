package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// begin prepares for a pass: the TUN's namespace is open. One that is missing is
// made if create is true; else an empty one stands for it, until leaveEmpty.
func (h *Host) begin(create bool) error {
	if h.closed {
		return fs.ErrClosed
	}
	if err := h.sameNetns(create); err != nil {
		return err
	}
	if h.k.nl == nil {
		if err := h.open(create); err != nil {
			return err
		}
	}
	h.k.ifindex = 0
	index, err := h.k.index()
	if err != nil && !gone(err) {
		return err
	}
	if index != h.journal.Index { // another interface has the TUN's name now, or none has
		h.journal.forgetTUN(index)
		h.sure = false
	}
	return nil
}

// sameNetns undoes what an earlier process left in another namespace.
func (h *Host) sameNetns(create bool) error {
	if !create || h.journal.Netns == h.netns {
		return nil
	}
	if err := Clean(h.k.tun, &Options{Dir: h.k.dir, Trace: h.trace, Traced: h.traced, Progress: h.progress, Logger: h.log}); err != nil {
		return err
	}
	h.journal = &journal{path: h.journal.path, Name: h.journal.Name, Netns: h.netns}
	return nil
}

func (h *Host) open(create bool) (err error) {
	h.k.inner = h.k.outer
	if h.netns != "" {
		if h.k.inner, err = h.openNetns(create); err != nil {
			return fmt.Errorf("network namespace %s: %w", h.netns, err)
		}
	}
	return h.k.inner.do(func() error {
		if h.k.sock, err = openSocket(); err != nil {
			return err
		}
		h.k.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			h.k.sock.close()
			return fmt.Errorf("netlink: %w", err)
		}
		return nil
	})
}

func (h *Host) openNetns(create bool) (*space, error) {
	if _, err := os.Stat(netnsPath(h.netns)); !errors.Is(err, fs.ErrNotExist) {
		ns, err := netns.GetFromName(h.netns)
		return &space{ns}, err
	}
	if !create {
		h.missing = true
		return emptySpace()
	}
	s := step{new: &namespace{h.netns}}
	if err := h.take(s); err != nil {
		return nil, errors.Join(err, h.take(s.inverse()))
	}
	ns, err := netns.GetFromName(h.netns)
	return &space{ns}, err
}

// emptySpace makes a network namespace without a name.
func emptySpace() (s *space, err error) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in the new namespace
		ns, err := netns.New()
		s = &space{ns}
		done <- err
	}()
	return s, <-done
}

// leaveEmpty forgets the empty namespace.
func (h *Host) leaveEmpty() {
	if !h.missing {
		return
	}
	h.missing = false
	h.release()
}

// release closes the TUN's namespace.
func (h *Host) release() {
	if h.k.nl != nil {
		h.k.nl.Close()
		h.k.sock.close()
		h.k.nl, h.k.sock = nil, nil
	}
	if h.k.inner != nil && h.k.inner != h.k.outer {
		h.k.inner.close()
	}
	h.k.inner = nil
}

// Do runs f with the calling thread in the TUN's network namespace, which it
// makes if need be, and returns f's error: there the TUN is to be made. The
// thread is back in its own afterwards; goroutines that f starts were never in
// it.
func (h *Host) Do(f func() error) error {
	h.mu.Lock()
	err := h.begin(true)
	inner := h.k.inner
	h.mu.Unlock()
	if err != nil {
		return h.wrap(err)
	}
	return inner.do(f)
}
