//go:build !linux

package resolv

import (
	"context"
	"errors"
)

// Prepare fails: only Linux is supported.
func (y *System) Prepare(context.Context, Settings) (Record, error) {
	return Record{}, errors.ErrUnsupported
}

// Apply fails: only Linux is supported.
func (y *System) Apply(context.Context, Record) (warnings []string, err error) {
	return nil, errors.ErrUnsupported
}

// Check fails: only Linux is supported.
func (y *System) Check(_ context.Context, r Record) (next Record, intact bool, err error) {
	return r, false, errors.ErrUnsupported
}

// Undo fails: only Linux is supported.
func (y *System) Undo(context.Context, Record) error { return errors.ErrUnsupported }

// Watch fails: only Linux is supported.
func (y *System) Watch(context.Context, Record, func()) error { return errors.ErrUnsupported }

// Upstream fails: only Linux is supported.
func (y *System) Upstream(context.Context, string) (Upstream, error) {
	return Upstream{}, errors.ErrUnsupported
}
