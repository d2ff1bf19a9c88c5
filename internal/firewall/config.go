package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrOwned is wrapped by the error of a change to a table that belongs to
// another process, which still runs.
var ErrOwned = errors.New("it belongs to another process that is running")

// A Config is what a table is to say.
type Config struct {
	Table string // name of the table
	TUN   string // name of the TUN, which need not exist
	Mark  uint32 // of our own datagrams; 0: no mark is kept

	// Tunnel are the addresses that packets reach by the TUN, by TUNs or from
	// this host itself, and no other way.
	Tunnel []netip.Addr

	// KillSwitch drops what is not allowed by the rules of the package, and by
	// the fields below, which mean nothing without it. It needs a Mark.
	KillSwitch bool
	Endpoints  []netip.AddrPort // of hops: UDP with the mark
	Resolvers  []netip.Addr     // UDP and TCP port 53 with the mark
	LAN        []LANPrefix      // but for DNS; nil: denied
	Exclude    []netip.Prefix   // by any interface, but for DNS
	TUNs       []string         // of other instances: as TUN, DNS included
	Others     []Other          // and their own datagrams
}

// An Other is another instance, whose own datagrams pass by the same rules as
// ours.
type Other struct {
	Mark      uint32
	Endpoints []netip.AddrPort // UDP with the mark
	Resolvers []netip.Addr     // UDP and TCP port 53 with the mark
}

// A LANPrefix is a network that this host is directly connected to. What is
// local to that link besides is open as well: broadcast, and multicast that no
// router passes on to the internet (224.0.0.0/24, 239.255.0.0/16, ff02::/16).
type LANPrefix struct {
	Prefix    netip.Prefix
	Interface string
}

// check returns what makes c impossible.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if n := len(c.Table); n == 0 || n > 255 || strings.ContainsRune(c.Table, 0) {
		bad("table name %q", c.Table)
	}
	for _, name := range append([]string{c.TUN}, c.TUNs...) {
		if !validInterface(name) {
			bad("interface name %q", name)
		}
	}
	if c.KillSwitch && c.Mark == 0 {
		bad("kill switch without a mark")
	}
	for _, o := range c.Others {
		if o.Mark == 0 {
			bad("another instance without a mark")
		}
	}
	for _, a := range c.Tunnel {
		if !a.IsValid() {
			bad("tunnel address %v", a)
		}
	}
	for _, o := range append([]Other{{c.Mark, c.Endpoints, c.Resolvers}}, c.Others...) {
		for _, a := range o.Resolvers {
			if !a.IsValid() {
				bad("resolver %v", a)
			}
		}
		if err := checkEndpoints(o.Endpoints); err != nil {
			errs = append(errs, err)
		}
	}
	for _, l := range c.LAN {
		if !l.Prefix.IsValid() || !validInterface(l.Interface) {
			bad("LAN prefix %v on %q", l.Prefix, l.Interface)
		}
	}
	for _, p := range c.Exclude {
		if !p.IsValid() {
			bad("excluded prefix %v", p)
		}
	}
	return errors.Join(errs...)
}

func checkEndpoints(endpoints []netip.AddrPort) error {
	for _, e := range endpoints {
		if !e.Addr().IsValid() || e.Port() == 0 {
			return fmt.Errorf("endpoint %v", e)
		}
	}
	return nil
}

// validInterface reports whether the kernel would take name for an interface.
func validInterface(name string) bool {
	return name != "" && len(name) <= 15 && name != "." && name != ".." && !strings.ContainsAny(name, "/:\x00 \t\n\v\f\r")
}
