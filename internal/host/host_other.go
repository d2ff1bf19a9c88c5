//go:build !linux

package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
)

// A Host is what the operating system is told of one TUN.
type Host struct{}

// New fails.
func New(string, *Options) (*Host, error) { return nil, unsupported("addresses and routes") }

// Choose fails.
func (*Host) Choose(*Config) error { return unsupported("firewall marks") }

// Plan fails.
func (*Host) Plan(Config, int) ([]string, error) { return nil, unsupported("addresses and routes") }

// Apply fails.
func (*Host) Apply(context.Context, Config) (warnings []string, err error) {
	return nil, unsupported("addresses and routes")
}

// SetRouteMTU fails.
func (*Host) SetRouteMTU(string, int) error { return unsupported("routes") }

// Alive reports that nothing hangs.
func (*Host) Alive(context.Context) error { return nil }

// SetEndpoints fails.
func (*Host) SetEndpoints([]netip.AddrPort) error { return unsupported("firewall") }

// RouteTo fails.
func (*Host) RouteTo(netip.Addr) (Path, error) { return Path{}, unsupported("look up a route") }

// Watch fails.
func (*Host) Watch(context.Context, func()) error { return unsupported("watch the network") }

// Do runs f.
func (*Host) Do(f func() error) error { return f() }

// Cuts reports that nothing is cut.
func (*Host) Cuts(Config, netip.Addr) (mend string, err error) { return "", nil }

// Nested fails.
func (*Host) Nested(Config) ([]Nesting, error) { return nil, unsupported("other tunnels") }

// Status returns nothing.
func (*Host) Status() Status { return Status{} }

// Exists fails.
func (*Host) Exists() (bool, error) { return false, unsupported("interfaces") }

// Close does nothing.
func (*Host) Close() error { return nil }

// Release does nothing.
func (*Host) Release() error { return nil }

// Clean does nothing: no crash leaves anything.
func Clean(name string, o *Options) error { return nil }

// Orphans returns nothing.
func Orphans(dir string) ([]string, error) { return nil, nil }

// Exists reports whether the host has an interface of that name.
func Exists(name string) (bool, error) {
	_, err := net.InterfaceByName(name)
	return err == nil, nil
}

func unsupported(what string) error {
	return fmt.Errorf("host: %s: %w (%s): use --table off and configure the interface yourself", what, ErrUnsupported, runtime.GOOS)
}
