package router

import (
	"net/netip"

	"golang.zx2c4.com/wireguard/conn"

	udpbind "multihop/internal/udp"
)

// bothFamilies reports whether the peers of a hop on the host's network may have
// endpoints of both families; errMixed says that they may not.
const bothFamilies = udpbind.BothFamilies

var errMixed = udpbind.ErrMixed

// newUDP returns the UDP sockets of a hop on the host's network.
func (r *Router) newUDP(hop string) conn.Bind {
	return udpbind.New(&udpbind.Options{Control: r.opts.Control, PathMTU: r.pathMTU(hop)})
}

// pathMTU returns what the hop of that name learns path MTUs by.
func (r *Router) pathMTU(hop string) func(mtu int, dst netip.Addr) {
	return func(mtu int, dst netip.Addr) {
		if h := r.table.Load().hop(hop); h != nil {
			h.learnMTU(mtu, dst)
		}
	}
}
