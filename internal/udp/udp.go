package udp

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
)

// Options are what a bind may be given. The zero value of each field means its
// default.
type Options struct {
	// Control is called for each socket before it is bound, as
	// net.ListenConfig.Control is: network is "udp4" or "udp6". Its error fails
	// Open. Options that it sets win over the bind's own. It is also called for
	// the socket that asks for a path MTU, which sends nothing. On systems other
	// than Linux and Android, Open fails if it is set: errors.ErrUnsupported.
	Control func(network, address string, c syscall.RawConn) error

	// PathMTU is told the MTU of the route to dst, in bytes of whole IP packets,
	// when a datagram to dst was larger; at most once a second. Send calls it,
	// with no lock of the bind held.
	PathMTU func(mtu int, dst netip.Addr)
}

// ErrMixed is the error of Send to a peer of the other family than the first
// one's, on systems where [BothFamilies] is false.
var ErrMixed = errors.New("udp: peers with endpoints of both IPv4 and IPv6 need two hops on this system")

// New returns a bind, which is closed. A nil o means all defaults.
//
// Its receive functions end with net.ErrClosed once it is closed. Close is
// idempotent and ends a Send that waits. Its endpoints are its own: they come
// from ParseEndpoint and the receive functions.
//
// On systems other than Linux and Android it is wireguard-go's bind, kept to
// one family between Open and Close, that of the first Send: see [ErrMixed].
func New(o *Options) conn.Bind {
	if o == nil {
		o = &Options{}
	}
	return newBind(*o)
}
