//go:build !linux

package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

var errUnsupported = fmt.Errorf("firewall: %w", errors.ErrUnsupported)

// A Firewall changes tables.
type Firewall struct{}

// Open fails.
func Open() (*Firewall, error) { return nil, errUnsupported }

// Apply fails.
func (*Firewall) Apply(Config) error { return errUnsupported }

// SetEndpoints fails.
func (*Firewall) SetEndpoints([]netip.AddrPort) error { return errUnsupported }

// Present fails.
func (*Firewall) Present(Config) (bool, error) { return false, errUnsupported }

// Remove fails.
func (*Firewall) Remove(string) error { return errUnsupported }

// Watch fails.
func (*Firewall) Watch(context.Context, func()) error { return errUnsupported }

// Close does nothing.
func (*Firewall) Close() error { return nil }

// Lines returns nothing.
func Lines(Config) []string { return nil }
