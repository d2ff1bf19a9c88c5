package host

import (
	"bytes"
	"cmp"
	"net/netip"
)

// A network is a prefix without pointers, comparable: there may be a million of
// them, and the garbage collector need not look at any. The zero value is
// 0.0.0.0/0.
type network struct {
	addr [16]byte // of IPv4 the first four
	bits uint8
	six  bool // IPv6
}

func networkOf(p netip.Prefix) network {
	n := network{bits: uint8(p.Bits()), six: p.Addr().Is6()} // invalid: 255
	if n.six {
		n.addr = p.Addr().As16()
	} else if p.Addr().Is4() {
		a := p.Addr().As4()
		copy(n.addr[:], a[:])
	}
	return n
}

// prefix returns it as others take it.
func (n *network) prefix() netip.Prefix {
	if n.six {
		return netip.PrefixFrom(netip.AddrFrom16(n.addr), int(n.bits))
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(n.addr[:4])), int(n.bits))
}

// compare orders IPv4 before IPv6, and a prefix right before those inside it.
func (n *network) compare(o *network) int {
	switch {
	case n.six != o.six:
		if o.six {
			return -1
		}
		return 1
	case n.addr != o.addr:
		return bytes.Compare(n.addr[:], o.addr[:])
	}
	return cmp.Compare(n.bits, o.bits)
}
