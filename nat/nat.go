package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"multihop/packet"
)

// A Rewrite replaces one address by another of the same family, in whole
// packets. Its zero value is not usable. It does not change after NewRewrite,
// so it may be used concurrently.
type Rewrite struct {
	from, to netip.Addr
	bytes    [16]byte // of to; the first 4 for IPv4
	delta    delta
}

// NewRewrite returns a Rewrite that replaces from by to. IPv4 addresses that
// are mapped into IPv6 are unmapped first. It fails if the families differ, or
// if an address is the zero Addr or has a zone.
func NewRewrite(from, to netip.Addr) (Rewrite, error) {
	from, to = from.Unmap(), to.Unmap()
	var err error
	switch {
	case !from.IsValid() || !to.IsValid():
		err = errors.New("no address")
	case from.Zone() != "" || to.Zone() != "":
		err = errors.New("address with a zone")
	case from.Is4() != to.Is4():
		err = errors.New("addresses of two families")
	default:
		return newRewrite(from, to), nil
	}
	return Rewrite{}, fmt.Errorf("nat: rewrite %v to %v: %w", from, to, err)
}

// newRewrite is NewRewrite for two addresses as a packet.Meta holds them.
func newRewrite(from, to netip.Addr) Rewrite {
	r := Rewrite{from: from, to: to, delta: newDelta(from, to)}
	if to.Is4() {
		a := to.As4()
		copy(r.bytes[:], a[:])
	} else {
		r.bytes = to.As16()
	}
	return r
}

// Source translates the source of the packet b, which m describes and whose
// source must be the address that r replaces: callers judge that first, it is
// not checked again. If b is an ICMP error, the destination of the packet that
// it quotes must be that address too, else the verdict is Quote.
//
// If the verdict is OK, b and m.Src hold the new address. Otherwise b is
// unchanged and must be dropped.
func (r *Rewrite) Source(b []byte, m *packet.Meta) packet.Verdict {
	v := r.translate(b, m, source, destination)
	if v == packet.OK {
		m.Src = r.to
	}
	return v
}

// Destination translates the destination of the packet b, as Source does the
// source. If b is an ICMP error, the source of the packet that it quotes must
// be the address that r replaces.
func (r *Rewrite) Destination(b []byte, m *packet.Meta) packet.Verdict {
	v := r.translate(b, m, destination, source)
	if v == packet.OK {
		m.Dst = r.to
	}
	return v
}

// SetSource replaces the source of the packet b, which m describes, and
// updates the checksums that cover it. The packet that an ICMP error quotes
// stays as it is. to must be of m's family and not mapped into IPv6.
func SetSource(b []byte, m *packet.Meta, to netip.Addr) {
	r := newRewrite(m.Src, to)
	mendZero(b, m)
	r.header(b, m, source)
	if at := checksumAt(m); at != 0 {
		r.delta.apply(b[at:], m.Proto)
	}
	m.Src = to
}

// A side is the address of a header that is meant.
type side bool

const (
	source      side = false
	destination side = true
)

// of returns that address.
func (s side) of(m *packet.Meta) netip.Addr {
	if s == source {
		return m.Src
	}
	return m.Dst
}

// translate translates the outer side of b, and the quoted side of the packet
// that b may quote.
func (r *Rewrite) translate(b []byte, m *packet.Meta, outer, quoted side) packet.Verdict {
	if m.Proto == packet.ProtoICMP || m.Proto == packet.ProtoICMPv6 {
		if packet.QuotesPacket(b, m) {
			if v := r.quote(b, m, quoted); v != packet.OK {
				return v
			}
		}
	}
	mendZero(b, m)
	r.header(b, m, outer)
	if at := checksumAt(m); at != 0 {
		r.delta.apply(b[at:], m.Proto)
	}
	return packet.OK
}

// mendZero writes 0xffff to the checksum of a whole UDP datagram that has 0
// there, if that is what its checksum comes to. 0 means that there is none, which
// IPv6 receivers discard (RFC 8200, section 8.1). But wireguard-go's Linux TUN,
// where it completes the kernel's checksums, forgets RFC 768's "if the computed
// checksum is zero, it is transmitted as all ones": one datagram in 65,536. A
// datagram that really has none stays as it is.
func mendZero(b []byte, m *packet.Meta) {
	if m.Proto != packet.ProtoUDP || m.IsFragment() || get(b[m.L4+6:]) != 0 {
		return
	}
	n := int(get(b[m.L4+4:]))
	if n < 8 || n > m.Len-m.L4 {
		return
	}
	addrs := b[12:20]
	if m.Version == 6 {
		addrs = b[8:40]
	}
	if packet.Fold(packet.Sum(b[m.L4:m.L4+n], packet.Sum(addrs, uint32(packet.ProtoUDP+n)))) == 0xffff {
		put(b[m.L4+6:], 0xffff)
	}
}

// header replaces the address on side s of the IP header that b starts with,
// and updates the header's checksum.
func (r *Rewrite) header(b []byte, m *packet.Meta, s side) {
	if m.Version == 4 {
		at := 12
		if s == destination {
			at = 16
		}
		copy(b[at:at+4], r.bytes[:4])
		r.delta.apply(b[10:], 0)
		return
	}
	at := 8
	if s == destination {
		at = 24
	}
	copy(b[at:at+16], r.bytes[:])
}

// checksumAt returns the offset of the upper-layer checksum that covers the
// addresses of the packet that m describes, or 0 if there is none. Parse has
// seen that it is in the packet; a quote may end before it.
func checksumAt(m *packet.Meta) int {
	if m.FragOffset > 0 {
		return 0
	}
	switch m.Proto {
	case packet.ProtoTCP:
		return m.L4 + 16
	case packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoDCCP:
		return m.L4 + 6
	case packet.ProtoICMPv6:
		if m.Version == 6 {
			return m.L4 + 2
		}
	}
	return 0
}

func get(b []byte) uint16    { return binary.BigEndian.Uint16(b) }
func put(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
