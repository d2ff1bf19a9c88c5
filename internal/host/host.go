package host

import (
	"errors"
	"net/netip"
)

// ErrUnsupported is wrapped by what this operating system cannot do yet.
var ErrUnsupported = errors.New("not supported on this system yet")

// ErrNoRoute is wrapped by RouteTo for an address that the host cannot reach.
var ErrNoRoute = errors.New("this host has no route to it")

// A Config is what a TUN is to be given.
type Config struct {
	Name   string       // of the TUN, which exists
	MTU    int          // bytes
	Addrs  []netip.Addr // at most one per family
	Routes []Route
}

// A Route sends a prefix to the TUN.
type Route struct {
	Prefix netip.Prefix
	MTU    int // bytes; 0: the TUN's
}

// A Path is how the host reaches an address. Paths are comparable.
type Path struct {
	Interface string
	Src       netip.Addr // source address of a packet that takes it
	MTU       int        // bytes: the route's own, or else the interface's
}
