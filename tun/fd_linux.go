package tun

import (
	"fmt"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

func checkFD(fd int) error {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return fmt.Errorf("not a TUN: %w", err)
	}
	return nil
}

func fromFD(fd int, mtu int) (wgtun.Device, error) {
	dev, _, err := wgtun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, err
	}
	return &toldMTU{Device: dev, mtu: mtu}, nil
}

// A toldMTU is a device whose creator knows the MTU. The interface may be in
// another network namespace, where asking for it fails.
type toldMTU struct {
	wgtun.Device
	mtu int
}

// Unwrap returns the device without the MTU.
func (d *toldMTU) Unwrap() wgtun.Device { return d.Device }

// MTU implements wgtun.Device.
func (d *toldMTU) MTU() (int, error) { return d.mtu, nil }
