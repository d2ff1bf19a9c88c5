package udp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// A source is where a datagram of a peer arrived: the address that its answers
// come from and the interface that they leave by.
type source struct {
	addr  [16]byte // of the peer's family: IPv4 in the first four bytes
	index uint32   // of the interface; 0: not known
}

// An endpoint is a peer's address, and the source to send to it from. Immutable,
// but that its source may be forgotten. Endpoints are shared by packets.
type endpoint struct {
	dst    netip.AddrPort
	name   []byte // dst, as a sockaddr
	src    source
	srcMsg []byte      // src, as a control message; empty: not known
	forgot atomic.Bool // src is not to be used any more
}

var _ conn.Endpoint = (*endpoint)(nil)

func newEndpoint(dst netip.AddrPort, scope uint32, src source) *endpoint {
	e := &endpoint{dst: dst, src: src}
	a := dst.Addr()
	if a.Is4() {
		e.name = make([]byte, unix.SizeofSockaddrInet4)
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(unsafe.SliceData(e.name)))
		sa.Family, sa.Addr = unix.AF_INET, a.As4()
	} else {
		e.name = make([]byte, unix.SizeofSockaddrInet6)
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(unsafe.SliceData(e.name)))
		sa.Family, sa.Addr, sa.Scope_id = unix.AF_INET6, a.As16(), scope
	}
	binary.BigEndian.PutUint16(e.name[2:], dst.Port()) // sin_port, sin6_port
	if src != (source{}) {
		e.srcMsg = appendSource(nil, src, a.Is4())
	}
	return e
}

func (e *endpoint) is4() bool { return e.dst.Addr().Is4() }

// sticky returns the control message that sets the source; empty: there is none.
func (e *endpoint) sticky() []byte {
	if e.forgot.Load() {
		return nil
	}
	return e.srcMsg
}

// ClearSrc implements conn.Endpoint: the next datagram leaves as the routes say.
func (e *endpoint) ClearSrc() { e.forgot.Store(true) }

// SrcIP implements conn.Endpoint.
func (e *endpoint) SrcIP() netip.Addr {
	switch {
	case len(e.sticky()) == 0:
		return netip.Addr{}
	case e.is4():
		return netip.AddrFrom4([4]byte(e.src.addr[:4]))
	default:
		return netip.AddrFrom16(e.src.addr)
	}
}

// SrcToString implements conn.Endpoint.
func (e *endpoint) SrcToString() string { return e.SrcIP().String() }

// DstIP implements conn.Endpoint.
func (e *endpoint) DstIP() netip.Addr { return e.dst.Addr() }

// DstToString implements conn.Endpoint.
func (e *endpoint) DstToString() string { return e.dst.String() }

// DstToBytes implements conn.Endpoint.
func (e *endpoint) DstToBytes() []byte {
	b, _ := e.dst.MarshalBinary() // never fails
	return b
}

// scopeOf returns the number of an IPv6 zone.
func scopeOf(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %s: %w", zone, err)
	}
	return uint32(ifi.Index), nil
}

// A peerKey is what distinguishes endpoints, without pointers.
type peerKey struct {
	addr  [16]byte // IPv4 in the first four bytes
	port  uint16
	scope uint32
	src   source
}

// keyOf returns the key of a datagram from the sockaddr name that arrived at
// src.
func keyOf(name *unix.RawSockaddrInet6, src source) peerKey {
	k := peerKey{src: src}
	raw := (*[unix.SizeofSockaddrInet6]byte)(unsafe.Pointer(name))
	k.port = binary.BigEndian.Uint16(raw[2:])
	if name.Family == unix.AF_INET {
		copy(k.addr[:4], raw[4:])
	} else {
		k.addr, k.scope = name.Addr, name.Scope_id
	}
	return k
}

func (k *peerKey) endpoint(is4 bool) *endpoint {
	a := netip.AddrFrom16(k.addr)
	if is4 {
		a = netip.AddrFrom4([4]byte(k.addr[:4]))
	} else if k.scope != 0 {
		a = a.WithZone(strconv.FormatUint(uint64(k.scope), 10))
	}
	return newEndpoint(netip.AddrPortFrom(a, k.port), k.scope, k.src)
}

// mostEndpoints bounds a cache of endpoints: a stranger can invent any number.
const mostEndpoints = 256

// An endpoints is a cache: the same peer gets the same endpoint again.
type endpoints struct {
	last    *endpoint
	lastKey peerKey
	all     map[peerKey]*endpoint
}

// of returns the endpoint of k.
func (c *endpoints) of(k peerKey, is4 bool) *endpoint {
	if c.last != nil && c.lastKey == k && !c.last.forgot.Load() {
		return c.last
	}
	e := c.all[k]
	if e == nil || e.forgot.Load() { // a datagram has arrived: the source is good again
		e = k.endpoint(is4)
		if c.all == nil || len(c.all) >= mostEndpoints {
			c.all = make(map[peerKey]*endpoint)
		}
		c.all[k] = e
	}
	c.last, c.lastKey = e, k
	return e
}
