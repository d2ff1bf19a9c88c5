package host

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// A space is a network namespace that functions can be run in.
type space struct{ handle netns.NsHandle }

// here returns the network namespace of the calling thread.
func here() (*space, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &space{ns}, nil
}

// do runs f in the namespace and returns its error. What f opens (a socket, a
// file below /proc/sys/net) stays in the namespace, whoever uses it; goroutines
// that f starts are not in it. The calling thread stays where it is: if that is
// somewhere else, f has a thread of its own, which ends with it.
func (s *space) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now, err := netns.Get()
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	same := now.Equal(s.handle)
	_ = now.Close()
	if same {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := netns.Set(s.handle); err != nil {
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (s *space) close() { _ = s.handle.Close() }
