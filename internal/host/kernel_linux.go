package host

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"multihop/internal/firewall"
	"multihop/internal/resolv"
)

// kernel is what changes are made to: the network namespace of the TUN, and
// what only the host itself has.
type kernel struct {
	tun     string
	inner   *space             // the TUN's namespace
	outer   *space             // the host's: the same but with Options.Netns
	nl      *netlink.Handle    // in inner
	sock    *socket            // in inner
	dir     string             // of the journals
	wall    *firewall.Firewall // in outer; nil: not opened yet
	dns     resolv.System
	ifindex int  // of the TUN; 0: to be looked up
	sure    bool // what the journal has was done by this process

	calls atomic.Uint64 // made so far: who looks sees that it goes on

	// fault, in tests, fails a call before it is made.
	fault func(call string) error
	// warnings of this pass, for the user.
	warnings []string
}

// try makes one call to the operating system.
func (k *kernel) try(call string, f func() error) error {
	k.calls.Add(1)
	if k.fault != nil {
		if err := k.fault(call); err != nil {
			return err
		}
	}
	return f()
}

// index returns the TUN's interface number.
func (k *kernel) index() (int, error) {
	if k.ifindex != 0 {
		return k.ifindex, nil
	}
	l, err := k.link()
	if err != nil {
		return 0, err
	}
	k.ifindex = l.Attrs().Index
	return k.ifindex, nil
}

// link looks the TUN up.
func (k *kernel) link() (l netlink.Link, err error) {
	err = k.try("look up interface", func() error {
		l, err = k.nl.LinkByName(k.tun)
		return err
	})
	return l, err
}

// firewall opens the firewall if it is not.
func (k *kernel) firewall() (*firewall.Firewall, error) {
	if k.wall != nil {
		return k.wall, nil
	}
	err := k.try("open firewall", func() error {
		return k.outer.do(func() (err error) {
			k.wall, err = firewall.Open()
			return err
		})
	})
	return k.wall, err
}

// dnsTimeout bounds each call to the host's DNS system.
const dnsTimeout = 10 * time.Second

func dnsContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), dnsTimeout)
}

// retried repeats a dump that others' changes interrupt.
func retried(dump func() error) error {
	var err error
	for range 10 {
		if err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return err
}

// gone reports whether err means that what is to be removed is not there.
func gone(err error) bool {
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return true
	}
	for _, e := range []error{unix.ENODEV, unix.ESRCH, unix.EADDRNOTAVAIL, unix.ENOENT, unix.ENXIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (k *kernel) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}
