//go:build !linux

package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
)

// Applied is what Configure did.
type Applied struct {
	// Warnings are for the user, one line each.
	Warnings []string
}

// Configure fails.
func Configure(Config) (*Applied, error) { return nil, unsupported("addresses and routes") }

// Close does nothing.
func (*Applied) Close() error { return nil }

// SetRouteMTU changes the MTU of a route that Configure added.
func (*Applied) SetRouteMTU(netip.Prefix, int) error { return unsupported("routes") }

// RouteTo fails.
func RouteTo(netip.Addr) (Path, error) { return Path{}, unsupported("look up a route") }

// Exists reports whether the host has an interface of that name.
func Exists(name string) (bool, error) {
	_, err := net.InterfaceByName(name)
	return err == nil, nil
}

// Watch fails.
func Watch(context.Context, func()) error { return unsupported("watch the network") }

func unsupported(what string) error {
	return fmt.Errorf("host: %s: %w (%s): use --table off and configure the interface yourself", what, ErrUnsupported, runtime.GOOS)
}
