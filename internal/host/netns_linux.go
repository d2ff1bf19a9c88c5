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

// namespace is a network namespace with a name, as "ip netns" makes them. It is
// a change of ours only where there was none before.
type namespace struct{ Name string }

func (c *namespace) key() string { return "namespace" }

func (c *namespace) after(*kernel, change) (change, error) { return c, nil }

// do makes the namespace with its loopback up.
func (c *namespace) do(k *kernel, _ change) error {
	err := k.try("make network namespace", func() error {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends in the new namespace
			done <- c.create()
		}()
		return <-done
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("network namespace %s: %w", c.Name, err)
	}
	return nil
}

func (c *namespace) create() error {
	ns, err := netns.NewNamed(c.Name)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// undo removes the name: the namespace itself ends with the last program in it.
func (c *namespace) undo(k *kernel) error {
	err := k.try("remove network namespace", func() error { return netns.DeleteNamed(c.Name) })
	if errors.Is(err, unix.EINVAL) { // no mount: a crash came between
		err = os.Remove(netnsPath(c.Name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", c.Name, err)
	}
	return nil
}

func (c *namespace) holds(*kernel) (bool, error) { return true, nil }

func (c *namespace) lines(string, change) []string {
	return []string{"ip netns add " + c.Name, "ip -n " + c.Name + " link set up dev lo"}
}

func (c *namespace) undoLines(string) []string { return []string{"ip netns delete " + c.Name} }

// netnsPath returns where "ip netns" keeps a namespace's name.
func netnsPath(name string) string { return "/run/netns/" + name }
