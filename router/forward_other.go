//go:build !linux

package router

import wgtun "golang.zx2c4.com/wireguard/tun"

// cutsSegments: only Linux has super-packets.
func cutsSegments(wgtun.Device) bool { return false }
