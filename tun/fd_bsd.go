//go:build darwin || freebsd || openbsd

package tun

import (
	"os"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

// checkFD also prepares fd for Go's poller.
func checkFD(fd int) error { return unix.SetNonblock(fd, true) }

func fromFD(fd int, mtu int) (wgtun.Device, error) {
	return wgtun.CreateTUNFromFile(os.NewFile(uintptr(fd), ""), mtu)
}
