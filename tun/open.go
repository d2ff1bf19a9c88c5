package tun

import (
	"errors"
	"fmt"
	"os"

	wgtun "golang.zx2c4.com/wireguard/tun"
)

// The least that Linux accepts (RFC 791), and the largest IP packet.
const (
	minMTU = 68
	maxMTU = 65535
)

// ErrName is wrapped by an error about a name that no TUN can have.
var ErrName = errors.New("bad device name")

// Open creates the operating system's TUN device of that name, with that MTU in
// bytes. On Linux a name matches [a-zA-Z0-9_=+.-]{1,15}; on macOS it is "utun"
// (the system numbers it) or "utun" and a number. Addresses and routes are the
// caller's affair.
func Open(name string, mtu int) (wgtun.Device, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	if err := checkMTU(mtu); err != nil {
		return nil, fmt.Errorf("tun: %s: %w", name, err)
	}
	dev, err := wgtun.CreateTUN(name, mtu)
	if err != nil {
		return nil, fmt.Errorf("tun: create %s: %w", name, explain(err))
	}
	return dev, nil
}

// FromFD makes a device of the file descriptor of a TUN that somebody else
// created, with the MTU that it has: Android's VpnService, a network extension
// of iOS, a parent process. FromFD owns fd from the call on: it is closed with
// the device, and when FromFD fails. Windows has no such descriptor.
//
// On Linux and Android the device does not watch the interface: it sends no
// events, and mtu is only told, not set.
func FromFD(fd int, mtu int) (wgtun.Device, error) {
	if fd < 0 {
		return nil, fmt.Errorf("tun: file descriptor %d is negative", fd)
	}
	err := checkMTU(mtu)
	if err == nil {
		err = checkFD(fd)
	}
	if err != nil {
		_ = os.NewFile(uintptr(fd), "").Close()
		return nil, fmt.Errorf("tun: file descriptor %d: %w", fd, err)
	}
	// What fails from here on leaves fd to the os.File that has it: to close it
	// here too could close somebody else's.
	dev, err := fromFD(fd, mtu)
	if err != nil {
		return nil, fmt.Errorf("tun: file descriptor %d: %w", fd, err)
	}
	return dev, nil
}

func checkMTU(mtu int) error {
	if mtu < minMTU || mtu > maxMTU {
		return fmt.Errorf("MTU %d is not within %d and %d", mtu, minMTU, maxMTU)
	}
	return nil
}
