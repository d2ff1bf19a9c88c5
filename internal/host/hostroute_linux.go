package host

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// rtaNexthopID is RTA_NH_ID of linux/rtnetlink.h.
const rtaNexthopID = 30

// hostRoute is a route as the kernel tells it, anybody's.
type hostRoute struct {
	route        // its kind means nothing unless what is one of ours
	what    byte // RTN_...
	proto   byte
	index   int        // of the interface; 0: none, or several
	gateway netip.Addr // of its own family
	far     bool       // by another kind of gateway, or several
	cached  bool
}

// parseRoute reads a message of type RTM_NEWROUTE or RTM_DELROUTE.
func parseRoute(b []byte) (r hostRoute, ok bool) {
	if len(b) < unix.SizeofRtMsg {
		return r, false
	}
	bits := int(b[1])
	r.table, r.proto, r.what = uint32(b[4]), b[5], b[7]
	r.cached = binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0
	switch r.what {
	case unix.RTN_UNREACHABLE:
		r.kind = unreachable
	case unix.RTN_THROW:
		r.kind = throw
	}
	addr := netip.IPv4Unspecified()
	if b[0] == unix.AF_INET6 {
		addr = netip.IPv6Unspecified()
	}
	eachAttr(b[unix.SizeofRtMsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.RTA_DST:
			if a, ok := netip.AddrFromSlice(v); ok {
				addr = a
			}
		case unix.RTA_GATEWAY:
			r.gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA, unix.RTA_MULTIPATH, rtaNexthopID:
			r.far = true
		case unix.RTA_METRICS:
			eachAttr(v, func(kind uint16, v []byte) {
				if kind == unix.RTAX_MTU {
					r.mtu = uint32Of(v)
				}
			})
		case unix.RTA_TABLE:
			r.table = uint32Of(v)
		case unix.RTA_PRIORITY:
			r.metric = uint32Of(v)
		case unix.RTA_OIF:
			r.index = int(int32(uint32Of(v)))
		}
	})
	p := netip.PrefixFrom(addr, bits)
	r.network = networkOf(p)
	return r, p.IsValid() && (b[0] == unix.AF_INET || b[0] == unix.AF_INET6)
}

// eachAttr calls f for each attribute in b. Their values are valid until f
// returns.
func eachAttr(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// uint32Of returns the value of an attribute of 4 bytes; 0 if it is shorter.
func uint32Of(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// direct reports whether the route leads to neighbours on an interface's own
// link.
func (r *hostRoute) direct() bool {
	return r.what == unix.RTN_UNICAST && !r.gateway.IsValid() && !r.far
}
