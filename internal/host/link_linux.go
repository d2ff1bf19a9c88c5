package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkMTU is the TUN's MTU.
type linkMTU struct{ MTU, Before int }

func (c *linkMTU) key() string { return "mtu" }

func (c *linkMTU) after(k *kernel, old change) (change, error) {
	next := *c
	if old, ok := old.(*linkMTU); ok {
		next.Before = old.Before
		return &next, nil
	}
	l, err := k.link()
	if gone(err) { // not made yet
		return &next, nil
	}
	if err != nil {
		return nil, err
	}
	next.Before = l.Attrs().MTU
	return &next, nil
}

func (c *linkMTU) do(k *kernel, _ change) error {
	l, err := k.link()
	if err != nil {
		return err
	}
	if err := k.try("set MTU", func() error { return k.nl.LinkSetMTU(l, c.MTU) }); err != nil {
		return fmt.Errorf("MTU %d: %w", c.MTU, err)
	}
	return nil
}

func (c *linkMTU) undo(k *kernel) error {
	if c.Before == 0 {
		return nil
	}
	l, err := k.link()
	if err == nil {
		err = k.try("set MTU", func() error { return k.nl.LinkSetMTU(l, c.Before) })
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("MTU %d: %w", c.Before, err)
	}
	return nil
}

func (c *linkMTU) holds(k *kernel) (bool, error) {
	l, err := k.link()
	return err == nil && l.Attrs().MTU == c.MTU, err
}

func (c *linkMTU) lines(tun string, _ change) []string {
	return []string{fmt.Sprintf("ip link set mtu %d dev %s", c.MTU, tun)}
}

func (c *linkMTU) undoLines(tun string) []string {
	if c.Before == 0 {
		return nil
	}
	return []string{fmt.Sprintf("ip link set mtu %d dev %s", c.Before, tun)}
}

// linkUp is the TUN's state.
type linkUp struct{}

func (*linkUp) key() string { return "up" }

func (c *linkUp) after(*kernel, change) (change, error) { return c, nil }

func (*linkUp) do(k *kernel, _ change) error {
	l, err := k.link()
	if err == nil {
		err = k.try("set up", func() error { return k.nl.LinkSetUp(l) })
	}
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	return nil
}

func (*linkUp) undo(k *kernel) error {
	l, err := k.link()
	if err == nil {
		err = k.try("set down", func() error { return k.nl.LinkSetDown(l) })
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("down: %w", err)
	}
	return nil
}

func (*linkUp) holds(k *kernel) (bool, error) {
	l, err := k.link()
	return err == nil && l.Attrs().Flags&net.FlagUp != 0, err
}

func (*linkUp) lines(tun string, _ change) []string { return []string{"ip link set up dev " + tun} }
func (*linkUp) undoLines(tun string) []string       { return []string{"ip link set down dev " + tun} }

// address is one of the TUN's, as /32 or /128: a mask makes no route.
type address struct{ Addr netip.Addr }

func (c *address) key() string { return "address " + c.Addr.String() }

func (c *address) after(*kernel, change) (change, error) { return c, nil }

func (c *address) do(k *kernel, _ change) error {
	l, err := k.link()
	if err == nil {
		err = k.try("add address", func() error { return k.nl.AddrAdd(l, c.netlink()) })
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("address %s: %w", c.Addr, err)
	}
	return nil
}

func (c *address) undo(k *kernel) error {
	l, err := k.link()
	if err == nil {
		err = k.try("delete address", func() error { return k.nl.AddrDel(l, c.netlink()) })
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("remove address %s: %w", c.Addr, err)
	}
	return nil
}

func (c *address) holds(k *kernel) (bool, error) {
	l, err := k.link()
	if err != nil {
		return false, err
	}
	var found []netlink.Addr
	err = retried(func() error {
		return k.try("list addresses", func() (err error) {
			found, err = k.nl.AddrList(l, netlink.FAMILY_ALL)
			return err
		})
	})
	want := c.netlink().IPNet.String()
	return slices.ContainsFunc(found, func(a netlink.Addr) bool { return a.IPNet.String() == want }), err
}

func (c *address) netlink() *netlink.Addr {
	n := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(c.Addr, c.Addr.BitLen()))}
	if c.Addr.Is6() {
		n.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE // usable at once; no route of its own
	}
	return n
}

func (c *address) lines(tun string, _ change) []string { return []string{c.line(tun, "add")} }
func (c *address) undoLines(tun string) []string       { return []string{c.line(tun, "del")} }

func (c *address) line(tun, verb string) string {
	return fmt.Sprintf("%s address %s %s/%d dev %s", ip(c.Addr), verb, c.Addr, c.Addr.BitLen(), tun)
}
