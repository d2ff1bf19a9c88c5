//go:build !android

package udp

import "golang.org/x/sys/unix"

// wantSource makes the kernel say to which address a datagram was sent.
func wantSource(fd int, network string) error {
	if network == "udp6" {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}
