package naive

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// A packet is an IPv4 packet without options, or an IPv6 packet without
// extension headers, whole.
type packet struct {
	data     []byte // a copy
	v6       bool
	proto    byte
	src, dst netip.Addr
	l4       int // where the upper layer begins
}

// read reads a packet; nil: it is malformed.
func read(b []byte) *packet {
	if len(b) < 20 {
		return nil
	}
	p := &packet{}
	total := 0
	switch b[0] >> 4 {
	case 4:
		total = int(binary.BigEndian.Uint16(b[2:]))
		p.l4, p.proto = 20, b[9]
		p.src, p.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		if b[0]&15 != 5 {
			return nil
		}
	case 6:
		if len(b) < 40 {
			return nil
		}
		total = 40 + int(binary.BigEndian.Uint16(b[4:]))
		p.l4, p.proto, p.v6 = 40, b[6], true
		p.src, p.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	default:
		return nil
	}
	if total > len(b) || total < p.l4+map[byte]int{1: 8, 6: 20, 17: 8, 58: 8}[p.proto] {
		return nil
	}
	p.data = slices.Clone(b[:total])
	return p
}

func (p *packet) source(a netip.Addr) {
	if p.v6 {
		copy(p.data[8:24], a.AsSlice())
	} else {
		copy(p.data[12:16], a.AsSlice())
	}
}

func (p *packet) destination(a netip.Addr) {
	if p.v6 {
		copy(p.data[24:40], a.AsSlice())
	} else {
		copy(p.data[16:20], a.AsSlice())
	}
}

// clamp lowers the MSS of a SYN whose only option that is.
func (p *packet) clamp(mtu int) {
	tcp := p.data[p.l4:]
	if p.proto != 6 || tcp[13]&2 == 0 || len(tcp) < 24 || tcp[20] != 2 {
		return
	}
	most := mtu - p.l4 - 20
	if int(binary.BigEndian.Uint16(tcp[22:])) > most {
		binary.BigEndian.PutUint16(tcp[22:], uint16(most))
	}
}

// sum fills in every checksum; of UDP over IPv4, if there was one.
func (p *packet) sum() {
	if !p.v6 {
		p.data[10], p.data[11] = 0, 0
		binary.BigEndian.PutUint16(p.data[10:], ^add(p.data[:20]))
	}
	at := map[byte]int{1: 2, 6: 16, 17: 6, 58: 2}[p.proto]
	if at == 0 {
		return
	}
	upper := p.data[p.l4:]
	if p.proto == 17 && !p.v6 && upper[6] == 0 && upper[7] == 0 {
		return
	}
	upper[at], upper[at+1] = 0, 0
	var sum uint16
	if p.proto == 1 {
		sum = ^add(upper)
	} else {
		sum = ^add(append(p.pseudo(), upper...))
	}
	if p.proto == 17 && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(upper[at:], sum)
}

// pseudo returns the pseudo-header.
func (p *packet) pseudo() []byte {
	n := len(p.data) - p.l4
	if p.v6 {
		return append(slices.Clone(p.data[8:40]), 0, 0, byte(n>>8), byte(n), 0, 0, 0, p.proto)
	}
	return append(slices.Clone(p.data[12:20]), 0, p.proto, byte(n>>8), byte(n))
}

// add adds 16-bit words in one's complement.
func add(b []byte) uint16 {
	sum := 0
	for i := 0; i < len(b); i += 2 {
		word := int(b[i]) << 8
		if i+1 < len(b) {
			word |= int(b[i+1])
		}
		sum += word
		if sum > 0xffff {
			sum -= 0xffff
		}
	}
	return uint16(sum)
}
