package lookup

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// Marked returns Listen and DialTCP of a Client whose packets leave past the
// tunnels: the sockets have the firewall mark (SO_MARK, which needs
// CAP_NET_ADMIN; Linux only, elsewhere they have none). A mark of 0 is none.
func Marked(mark uint32) (
	listen func(ctx context.Context, network string) (net.PacketConn, error),
	dial func(ctx context.Context, server netip.AddrPort) (net.Conn, error),
) {
	control := func(_, _ string, c syscall.RawConn) error {
		if mark == 0 {
			return nil
		}
		var failed error
		if err := c.Control(func(fd uintptr) { failed = setMark(fd, mark) }); err != nil {
			return err
		}
		return failed
	}
	listen = func(ctx context.Context, network string) (net.PacketConn, error) {
		return (&net.ListenConfig{Control: control}).ListenPacket(ctx, network, "")
	}
	dial = func(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
		return (&net.Dialer{Control: control}).DialContext(ctx, "tcp", server.String())
	}
	return listen, dial
}
