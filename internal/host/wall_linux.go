package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"multihop/internal/firewall"
)

// wall is the firewall's table.
type wall struct{ firewall.Config }

// wallTable returns the name of an instance's table.
func wallTable(tun string) string { return "multihop-" + tun }

func (c *wall) key() string { return "wall" }

func (c *wall) after(*kernel, change) (change, error) { return c, nil }

func (c *wall) do(k *kernel, _ change) error {
	w, err := k.firewall()
	if err == nil {
		err = k.try("apply firewall", func() error {
			return k.outer.do(func() error { return w.Apply(c.Config) })
		})
	}
	if !c.KillSwitch && noNftables(err) {
		k.warn("this kernel has no nftables: neighbours can probe the tunnel addresses, and with rp_filter=1 answers are lost")
		return nil
	}
	return err
}

func (c *wall) undo(k *kernel) error {
	w, err := k.firewall()
	if err == nil {
		err = k.try("remove firewall", func() error {
			return k.outer.do(func() error { return w.Remove(c.Table) })
		})
	}
	if !c.KillSwitch && noNftables(err) {
		return nil
	}
	return err
}

func (c *wall) holds(k *kernel) (ok bool, err error) {
	w, err := k.firewall()
	if err == nil {
		err = k.try("look at firewall", func() error {
			return k.outer.do(func() error {
				ok, err = w.Present(c.Config)
				return err
			})
		})
	}
	if !c.KillSwitch && noNftables(err) {
		return true, nil
	}
	return ok, err
}

func (c *wall) lines(string, change) []string {
	out := []string{"nft -f -"}
	for _, l := range firewall.Lines(c.Config) {
		out = append(out, "    "+l)
	}
	return out
}

func (c *wall) undoLines(string) []string {
	return []string{fmt.Sprintf("nft delete table inet %s", c.Table)}
}

// opens reports whether a step takes a kill switch away: that comes last.
func opens(s step) bool {
	old, _ := s.old.(*wall)
	now, _ := s.new.(*wall)
	return old != nil && now != nil && old.KillSwitch && !now.KillSwitch
}

func noNftables(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
}
