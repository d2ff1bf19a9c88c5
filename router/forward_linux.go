package router

import wgtun "golang.zx2c4.com/wireguard/tun"

// cutsSegments reports whether tun cuts super-packets as it reads them, so that what
// it reads at once has no bound but a super-packet's.
func cutsSegments(tun wgtun.Device) bool {
	for {
		d, ok := tun.(interface{ Unwrap() wgtun.Device })
		if !ok {
			break
		}
		tun = d.Unwrap()
	}
	_, ok := tun.(*wgtun.NativeTun)
	return ok && tun.BatchSize() > 1
}
