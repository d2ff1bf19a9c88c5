package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// minIPv6MTU is the least MTU of a link that carries IPv6 (RFC 8200, section 5):
// Linux takes IPv6 off a link with less.
const minIPv6MTU = 1280

// ipv6 is what the host knows of IPv6.
type ipv6 struct {
	none bool   // nothing at all
	off  string // why the TUN has none; "": it has
}

// ipv6 looks whether the TUN has, or will have, IPv6.
func (k *kernel) ipv6(c *Config) (ipv6, error) {
	none := false
	err := k.inner.do(func() error {
		_, err := os.Stat("/proc/sys/net/ipv6")
		none = errors.Is(err, fs.ErrNotExist)
		return nil
	})
	switch {
	case err != nil:
		return ipv6{}, err
	case none:
		return ipv6{none: true, off: "this host has no IPv6"}, nil
	case c.MTU < minIPv6MTU:
		return ipv6{off: fmt.Sprintf("an MTU of %d is too small for IPv6 (%d)", c.MTU, minIPv6MTU)}, nil
	}
	disabled, err := k.readSysctl("net/ipv6/conf/" + c.Name + "/disable_ipv6")
	if errors.Is(err, fs.ErrNotExist) { // not made yet, or its MTU was too small
		disabled, err = k.readSysctl("net/ipv6/conf/default/disable_ipv6")
	}
	if err != nil {
		return ipv6{}, err
	}
	if disabled != "0" {
		return ipv6{off: "IPv6 is disabled on this host (net.ipv6.conf.default.disable_ipv6)"}, nil
	}
	return ipv6{}, nil
}

// withoutIPv6 warns of what it means that the TUN has no IPv6.
func (h *Host) withoutIPv6(c *Config, l layout, v6 ipv6) {
	switch {
	case v6.off == "" || !c.wantsIPv6():
	case v6.none || l.off:
		h.k.warn("%s: IPv6 addresses and routes are left out", v6.off)
	default:
		h.k.warn("%s: IPv6 packets into the tunnel are rejected", v6.off)
	}
}

// wantsIPv6 reports whether IPv6 matters at all.
func (c *Config) wantsIPv6() bool {
	if c.address(true).IsValid() {
		return true
	}
	for p := range c.prefixes() {
		if p.Addr().Is6() {
			return true
		}
	}
	return false
}
