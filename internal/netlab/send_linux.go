package netlab

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Send sends a whole IP packet by h's routes: with any source address, from any
// port, whoever has it.
func (h *Host) Send(packet []byte) error {
	return h.Do(func() error {
		family, dst := unix.AF_INET, unix.Sockaddr(nil)
		if packet[0]>>4 == 4 {
			dst = &unix.SockaddrInet4{Addr: netip.AddrFrom4([4]byte(packet[16:])).As4()}
		} else {
			family = unix.AF_INET6
			dst = &unix.SockaddrInet6{Addr: netip.AddrFrom16([16]byte(packet[24:])).As16()}
		}
		// IPPROTO_RAW: the packet has its header.
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, packet, 0, dst)
	})
}

// Inject puts a packet, from its IP header on, onto the wire of the interface
// dev, to whoever is at its other end, as if h had sent it: no route and no
// firewall is asked.
func (h *Host) Inject(dev string, packet []byte) error {
	link := h.link(dev)
	ll := &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index, Protocol: htons(EtherIPv4), Halen: 6}
	if packet[0]>>4 == 6 {
		ll.Protocol = htons(EtherIPv6)
	}
	for i := range 6 {
		ll.Addr[i] = 0xff // a veth's peer takes broadcast frames, and IP does not mind
	}
	return h.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, packet, 0, ll)
	})
}
