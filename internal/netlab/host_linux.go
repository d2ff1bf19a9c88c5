package netlab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A Host is one network namespace, with its loopback up. Its methods may be
// called from any goroutine, until the test that made the lab ends.
type Host struct {
	Name string

	lab   *Lab
	ns    netns.NsHandle
	nl    *netlink.Handle
	calls chan func() // for the host's own thread, which starts its processes

	// Of a Machine:
	tid    int  // of that thread
	reaped bool // its processes end with its first one
}

// Host makes a host. It does not forward (see [Host.Forward]), does no reverse
// path filtering and no duplicate address detection.
func (l *Lab) Host(name string) *Host {
	l.tb.Helper()
	h := &Host{Name: name, lab: l, calls: make(chan func())}
	made := make(chan error)
	go h.live(made)
	if err := <-made; err != nil {
		l.tb.Fatalf("netlab: host %s: %v", name, err)
	}
	l.tb.Cleanup(func() {
		close(h.calls)
		h.nl.Close()
		_ = h.ns.Close()
	})
	for _, s := range []string{
		"ipv4/conf/all/rp_filter=0", "ipv4/conf/default/rp_filter=0",
		"ipv6/conf/all/accept_dad=0", "ipv6/conf/default/accept_dad=0",
		"ipv6/conf/all/accept_ra=0", "ipv6/conf/default/accept_ra=0",
		"ipv4/ping_group_range=0 2147483647",
	} {
		h.Sysctl(s)
	}
	h.Up("lo")
	return h
}

// live is the host's own thread: it makes the namespace and then serves calls.
// It never unlocks, so that the runtime ends the thread with it; and the
// processes that it started, whose parent-death signal is bound to the thread
// and not to the process, live until then.
func (h *Host) live(made chan<- error) {
	runtime.LockOSThread()
	err := func() (err error) {
		if h.ns, err = netns.New(); err != nil {
			return fmt.Errorf("new namespace: %w", err)
		}
		if h.nl, err = netlink.NewHandle(); err != nil {
			return fmt.Errorf("netlink: %w", err)
		}
		return nil
	}()
	made <- err
	if err != nil {
		return
	}
	for f := range h.calls {
		f()
	}
}

// onThread runs f on the host's own thread. f must not wait.
func (h *Host) onThread(f func()) {
	done := make(chan struct{})
	h.calls <- func() { defer close(done); f() }
	<-done
}

// Do runs f in the host's namespace and returns its error. What f opens (a
// socket, a file below /proc/sys/net) stays the host's, whoever uses it later;
// goroutines that f starts are not in the namespace. f must not call the
// test's FailNow, and may wait: each call has a thread of its own, which is
// thrown away.
func (h *Host) Do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(h.ns); err != nil {
			done <- fmt.Errorf("netlab: enter %s: %w", h.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Sysctl applies one setting "path=value", the path below /proc/sys/net.
func (h *Host) Sysctl(setting string) {
	h.lab.tb.Helper()
	path, value, _ := strings.Cut(setting, "=")
	err := h.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0)
	})
	if err != nil {
		h.lab.tb.Fatalf("netlab: %s: sysctl %s: %v", h.Name, setting, err)
	}
}

// Forward makes the host a router, for both families.
func (h *Host) Forward() {
	h.lab.tb.Helper()
	h.Sysctl("ipv4/ip_forward=1")
	h.Sysctl("ipv6/conf/all/forwarding=1")
}
