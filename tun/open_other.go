//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"io/fs"
)

// checkName leaves the rules of names to the system.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	return nil
}

// explain says what to do about an error of CreateTUN.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("not permitted: run as root or administrator: %w", err)
	}
	return err
}
