package host

import (
	"errors"
	"log/slog"
	"net/netip"
)

// ErrUnsupported is wrapped by what this operating system cannot do yet.
var ErrUnsupported = errors.New("not supported on this system yet")

// ErrNoRoute is wrapped by RouteTo for an address that the host cannot reach.
var ErrNoRoute = errors.New("this host has no route to it")

// A Config is the whole desired state of a host: what a TUN is to be given.
type Config struct {
	Name   string       // of the TUN
	MTU    int          // bytes
	Addrs  []netip.Addr // at most one per family
	Routes []Route

	Table      string           // "auto" ("" too), "off", or a number
	Mark       uint32           // of our own datagrams; 0: none, see Host.Choose
	Endpoints  []netip.AddrPort // of the hops on the host's network
	Tunnel     []netip.Addr     // tunnel addresses of all hops: must not arrive elsewhere
	KillSwitch Choice           // Auto: on with the default of a family
	LAN        Choice           // Auto: on, that is: directly connected private networks stay reachable
	IPv6Direct bool             // an IPv4 default without an IPv6 one leaves IPv6 as it is
	Exclude    []netip.Prefix   // stay outside of the TUN
	Resolvers  []netip.Addr     // of the host before: our marked queries to them may pass
	DNS        DNS              // no Servers: the host keeps its own
}

// A Route sends prefixes to the TUN.
type Route struct {
	Prefix   netip.Prefix   // invalid: there are only Prefixes
	Prefixes []netip.Prefix // further ones, of which there may be millions: do not change them any more
	MTU      int            // bytes; 0: the TUN's
	Hop      string         // by which SetRouteMTU knows the route
	Reject   bool           // its packets are answered with "unreachable" and do not enter the TUN
}

// DNS is which resolvers the host is to ask.
type DNS struct {
	Servers []netip.Addr
	Search  []string // domains
}

// A Choice is a setting that may be left open.
type Choice uint8

// The values of a Choice.
const (
	Auto Choice = iota // the default, which depends on the setting
	On
	Off
)

// Options say where and how a Host works.
type Options struct {
	Dir    string            // of the journals; "": Dir
	Netns  string            // name of the TUN's network namespace; "": where New is called
	Trace  func(line string) // told each change before it is made, "[#] ip ..."; nil: nobody
	Traced func() bool       // reports whether Trace listens now, for there may be millions; nil: it does
	Logger *slog.Logger      // told what Watch restored; nil: nobody

	// Progress is told, while many changes are made, how many of how many are;
	// nil: nobody.
	Progress func(done, total int)
}

// Dir is where the journals are by default.
const Dir = "/run/multihop"

// Status is what a Host chose and did.
type Status struct {
	Mark       uint32           // 0: none
	Table      uint32           // with our routes; 0: none
	Priority   int              // of the first of our two rules; 0: there are none
	KillSwitch bool             // the firewall lets out what the Config allows, and nothing else
	Outside    []netip.Prefix   // left to the routes of the host: the LAN, what is excluded
	Endpoints  []netip.AddrPort // that the kill switch allows
	DNS        []netip.Addr     // resolvers that the host asks because of us
}

// A Path is how the host reaches an address. Paths are comparable.
type Path struct {
	Interface string
	Src       netip.Addr // source address of a packet that takes it
	MTU       int        // bytes: the route's own, or else the interface's
}

// A Nesting is a tunnel whose datagrams go, or would go, into another tunnel
// though nobody asked for it.
type Nesting struct {
	Interface string         // of the tunnel inside
	Endpoint  netip.AddrPort // of its peer
	Inside    string         // interface that its datagrams enter
	Mend      string         // what to do, one line
}

func (n Nesting) String() string {
	return n.Interface + ": its packets to " + n.Endpoint.String() + " go into " + n.Inside + ": " + n.Mend
}
