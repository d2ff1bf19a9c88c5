package resolv

import (
	"errors"
	"net/netip"
)

// ErrChanged says that somebody else has changed the host's settings since
// Apply, so that Undo left them alone.
var ErrChanged = errors.New("changed by somebody else meanwhile, and left so")

// A System is where a host keeps its DNS settings. The zero value is this
// host; tests name other places. Its methods are safe for concurrent use, but
// two changes for one Link must not overlap.
type System struct {
	Root       string // goes before every path; "": none
	Bus        string // address of the D-Bus system bus; "": the well-known one
	Resolvconf string // the program resolvconf; "": looked for in PATH, /sbin and /usr/sbin

	index func(link string) int // of an interface; 0: there is none; nil: asks the kernel
}

// Settings are what a TUN asks of the host.
type Settings struct {
	Link    string       // the TUN's name
	Servers []netip.Addr // resolvers, in the order in which they are asked
	Search  []string     // domains to complete names with
	// Default says that names of every domain are asked of Servers, and not only
	// those below Search. Only resolved can tell domains apart: elsewhere, and
	// without Search, it is always so.
	Default bool
}

// Upstream are the resolvers that a host uses.
type Upstream struct {
	// Servers can be asked directly.
	Servers []netip.Addr
	// Local are programs of this host, such as a cache on 127.0.0.1. Whom they
	// ask in turn is not known, unless Servers says it, and their own queries go
	// where everybody's go: into the tunnel, or nowhere behind a kill switch. With
	// Local and no Servers a name can be looked up before the TUN is up and not
	// afterwards: an endpoint had better be an address.
	Local []netip.Addr
}
