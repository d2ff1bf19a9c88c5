package resolv

import (
	"net/netip"
	"slices"
	"strings"
)

// maxServers bounds the resolvers taken from anywhere.
const maxServers = 16

// nameservers returns the addresses of a resolv.conf's nameserver lines.
func nameservers(file []byte) []netip.Addr {
	var list []netip.Addr
	for line := range strings.Lines(string(file)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				list = add(list, a.Unmap())
			}
		}
	}
	return list
}

// add appends a, unless it is there or the list is full.
func add(list []netip.Addr, a netip.Addr) []netip.Addr {
	if len(list) >= maxServers || slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

// isLocal reports whether a resolver is a program of this host. To a resolver
// library 0.0.0.0 is one, too.
func isLocal(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }

// isStub reports whether a is where resolved listens.
func isStub(a netip.Addr) bool {
	return a == netip.AddrFrom4([4]byte{127, 0, 0, 53}) || a == netip.AddrFrom4([4]byte{127, 0, 0, 54})
}

// add puts a resolver where it belongs.
func (u *Upstream) add(a netip.Addr) {
	switch a = a.Unmap(); {
	case !a.IsValid() || a.IsMulticast():
	case isLocal(a):
		u.Local = add(u.Local, a)
	default:
		u.Servers = add(u.Servers, a)
	}
}
