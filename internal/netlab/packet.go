package netlab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// EtherTypes of a Packet.
const (
	EtherIPv4 = 0x0800
	EtherIPv6 = 0x86dd
	EtherARP  = 0x0806
)

// Protocol numbers of a Packet.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58

	protoIGMP = 2
)

// A Packet is one that a Capture saw, parsed as far as possible: what does not
// parse has zero fields, and so matches no flow.
type Packet struct {
	Outgoing  bool   // sent by the host that captured it
	EtherType uint16 // network protocol of a frame; of a TUN: by the IP version
	Len       int    // bytes, without a link header; may be a super-packet
	Data      []byte // without a link header; cut at 2,048 bytes

	Proto    uint8
	Src, Dst netip.AddrPort // ports: of TCP and UDP, not of later fragments
	ICMPType uint8          // of ICMP and ICMPv6, not of later fragments
	Payload  []byte         // of UDP, TCP (with its header) or ICMP (with its)
}

// parse fills the fields that come from Data. It is written apart from the
// packages under test, and simply, since it judges them.
func (p *Packet) parse() {
	var src, dst netip.Addr
	b := p.Data
	later := false // a fragment but not the first
	switch {
	case p.EtherType == EtherIPv4 && len(b) >= 20 && b[0]>>4 == 4:
		ihl := int(b[0]&15) * 4
		if ihl < 20 || len(b) < ihl {
			return
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		p.Proto = b[9]
		later = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		b = b[ihl:]
	case p.EtherType == EtherIPv6 && len(b) >= 40 && b[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		p.Proto = b[6]
		b = b[40:]
		if p.Proto == 0 && len(b) >= 8 { // hop-by-hop options: multicast listener reports
			n := 8 + int(b[1])*8
			p.Proto = b[0]
			b = b[min(n, len(b)):]
		}
	default:
		return
	}
	p.Src, p.Dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	if later {
		return
	}
	switch {
	case p.Proto == ProtoUDP && len(b) >= 8, p.Proto == ProtoTCP && len(b) >= 20:
		p.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
		p.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	case (p.Proto == ProtoICMP || p.Proto == ProtoICMPv6) && len(b) >= 8:
		p.ICMPType = b[0]
	default:
		return
	}
	if p.Proto == ProtoUDP {
		b = b[8:]
	}
	p.Payload = b
}

// Neighbourly reports whether p is what a kernel says to its link, whatever
// programs do: ARP, IGMP to the local network (RFC 3376), neighbour discovery
// (RFC 4861), multicast listener reports (RFC 3810).
func (p *Packet) Neighbourly() bool {
	switch t := p.ICMPType; p.EtherType {
	case EtherARP:
		return true
	case EtherIPv4:
		return p.Proto == protoIGMP && p.Dst.Addr().IsLinkLocalMulticast()
	case EtherIPv6:
		return p.Proto == ProtoICMPv6 && (t >= 130 && t <= 137 || t == 143)
	}
	return false
}

// ICMPError reports whether p is an ICMP or ICMPv6 error.
func (p *Packet) ICMPError() bool {
	switch t := p.ICMPType; p.Proto {
	case ProtoICMP:
		return t == 3 || t == 4 || t == 11 || t == 12
	case ProtoICMPv6:
		return t >= 1 && t <= 4
	}
	return false
}

// String shows who sent what to whom, and the first bytes.
func (p *Packet) String() string {
	way := "in"
	if p.Outgoing {
		way = "out"
	}
	return fmt.Sprintf("%s ether %04x proto %d %v > %v type %d len %d: % x",
		way, p.EtherType, p.Proto, p.Src, p.Dst, p.ICMPType, p.Len, p.Data[:min(len(p.Data), 48)])
}
