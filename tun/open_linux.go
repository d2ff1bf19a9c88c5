package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	cloneDevice = "/dev/net/tun"
	nameMax     = unix.IFNAMSIZ - 1
	nameChars   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-"
)

// checkName applies wg-quick's rule for names. The kernel's own allows more,
// and reads a % as a pattern.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > nameMax:
		return fmt.Errorf("%w %q: longer than %d characters", ErrName, name, nameMax)
	case strings.ContainsFunc(name, notNameChar):
		return fmt.Errorf("%w %q: only letters, digits and _=+.- can be in it", ErrName, name)
	case name == "." || name == "..":
		return fmt.Errorf("%w %q", ErrName, name)
	}
	return nil
}

func notNameChar(r rune) bool { return !strings.ContainsRune(nameChars, r) }

// explain says what to do about an error of CreateTUN.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("not permitted: run as root, or with CAP_NET_ADMIN: %w", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("the name is in use by another program's TUN: %w", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("the name is in use by an interface that is no TUN: %w", err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), deviceMissing():
		// wireguard's own error for a missing file wraps nothing.
		return fmt.Errorf("%s is missing: load the kernel's tun module, or give the container the device: %w", cloneDevice, err)
	}
	return err
}

func deviceMissing() bool {
	_, err := os.Stat(cloneDevice)
	return errors.Is(err, fs.ErrNotExist)
}
