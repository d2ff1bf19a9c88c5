//go:build !linux && !darwin && !freebsd && !openbsd

package tun

import (
	"errors"
	"fmt"
	"runtime"

	wgtun "golang.zx2c4.com/wireguard/tun"
)

func checkFD(int) error {
	return fmt.Errorf("no TUN has one on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func fromFD(fd int, _ int) (wgtun.Device, error) { return nil, checkFD(fd) }
