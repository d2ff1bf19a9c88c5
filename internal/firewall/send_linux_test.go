package firewall

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// rawProtocol sends a packet of a protocol without a socket of its own.
func rawProtocol(to netip.Addr, proto int) func(*netlab.Host) error {
	return func(h *netlab.Host) error {
		return h.Do(func() error {
			network := fmt.Sprintf("ip4:%d", proto)
			if to.Is6() {
				network = fmt.Sprintf("ip6:%d", proto)
			}
			c, err := net.Dial(network, to.String())
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write(make([]byte, 32))
			return err
		})
	}
}

// datagram sends one of size bytes.
func datagram(h *netlab.Host, to netip.AddrPort, mark, size int) error {
	return h.Do(func() error {
		d := net.Dialer{Control: marked(mark)}
		c, err := d.Dial("udp", to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(make([]byte, size))
		return err
	})
}

// boundTo sends a datagram by an interface, whatever the routes say.
func boundTo(h *netlab.Host, dev string, to netip.AddrPort) error {
	return socket(h, to, func(fd int) error {
		return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, dev)
	})
}

// fromPort sends a datagram by eth0 from an address and port; broadcast is fine.
func fromPort(h *netlab.Host, from, to netip.AddrPort) error {
	return socket(h, to, func(fd int) error {
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0"); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
			return err
		}
		return unix.Bind(fd, sockaddr(from))
	})
}

func socket(h *netlab.Host, to netip.AddrPort, prepare func(fd int) error) error {
	return h.Do(func() error {
		domain := unix.AF_INET
		if to.Addr().Is6() {
			domain = unix.AF_INET6
		}
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := prepare(fd); err != nil {
			return err
		}
		return unix.Sendto(fd, make([]byte, 64), 0, sockaddr(to))
	})
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())} // the socket knows the interface
}
