package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func iifname(name string) term { return ifname("iifname", expr.MetaKeyIIFNAME, name) }
func oifname(name string) term { return ifname("oifname", expr.MetaKeyOIFNAME, name) }

func ifname(word string, key expr.MetaKey, name string) term {
	padded := make([]byte, unix.IFNAMSIZ) // a match of the whole name, not of a beginning
	copy(padded, name)
	// nft takes a star at the end for a pattern.
	return term{text: fmt.Sprintf(`%s "%s"`, word, strings.ReplaceAll(name, "*", `\*`)), exprs: metaIs(key, padded)}
}

func mark(m uint32) term {
	return term{text: fmt.Sprintf("meta mark 0x%08x", m), exprs: metaIs(expr.MetaKeyMARK, native(m))}
}

func ctMark(m uint32) term {
	return term{
		text:  fmt.Sprintf("ct mark 0x%08x", m),
		exprs: []expr.Any{&expr.Ct{Key: expr.CtKeyMARK, Register: reg}, is(native(m))},
	}
}

func l4proto(proto uint8) term {
	return term{text: "meta l4proto " + protoName(proto), proto: proto}
}

func protoName(proto uint8) string {
	if proto == tcp {
		return "tcp"
	}
	return "udp"
}

// dport matches the port that a packet goes to.
func dport(proto uint8, port uint16) term {
	return term{
		text:  fmt.Sprintf("%s dport %d", protoName(proto), port),
		proto: proto,
		exprs: []expr.Any{transport(reg, 2, 2), is(binary.BigEndian.AppendUint16(nil, port))},
	}
}

// ports matches both ports of a packet.
func ports(proto uint8, src, dst uint16) term {
	both := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
	return term{
		text:  fmt.Sprintf("%s sport %d %[1]s dport %[3]d", protoName(proto), src, dst),
		proto: proto,
		exprs: []expr.Any{transport(reg, 0, 4), is(both)},
	}
}

// icmp6Types matches ICMPv6 types from first to last.
func icmp6Types(first, last uint8) term {
	if first == last {
		return term{
			text: fmt.Sprintf("icmpv6 type %d", first), proto: icmp6,
			exprs: []expr.Any{transport(reg, 0, 1), is([]byte{first})},
		}
	}
	return term{
		text:  fmt.Sprintf("icmpv6 type %d-%d", first, last),
		proto: icmp6,
		exprs: []expr.Any{
			transport(reg, 0, 1),
			&expr.Cmp{Op: expr.CmpOpGte, Register: reg, Data: []byte{first}},
			&expr.Cmp{Op: expr.CmpOpLte, Register: reg, Data: []byte{last}},
		},
	}
}

// hopLimit matches that of an IPv6 packet.
func hopLimit(n uint8) term {
	return term{
		text:   fmt.Sprintf("ip6 hoplimit %d", n),
		family: v6,
		exprs:  []expr.Any{network(reg, 7, 1), is([]byte{n})},
	}
}

func saddr(p netip.Prefix) term { return addr("saddr", false, p) }
func daddr(p netip.Prefix) term { return addr("daddr", true, p) }

func addr(word string, dst bool, p netip.Prefix) term {
	p = p.Masked()
	f := familyOf(p.Addr())
	t := term{
		text:   fmt.Sprintf("%s %s %s", f.word(), word, p),
		family: f,
		exprs:  []expr.Any{addrLoad(f, dst)},
	}
	value := p.Addr().AsSlice()
	if p.IsSingleIP() {
		t.text = fmt.Sprintf("%s %s %s", f.word(), word, p.Addr())
	} else {
		t.exprs = append(t.exprs, &expr.Bitwise{
			SourceRegister: reg, DestRegister: reg, Len: uint32(len(value)),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, len(value)),
		})
	}
	t.exprs = append(t.exprs, is(value))
	return t
}

// saddrIn and daddrIn match the addresses of the set of that name and family.
func saddrIn(f ipFamily, name string) term { return addrIn("saddr", f, false, name+f.String()) }
func daddrIn(f ipFamily, name string) term { return addrIn("daddr", f, true, name+f.String()) }

func addrIn(word string, f ipFamily, dst bool, name string) term {
	return term{
		text:   fmt.Sprintf("%s %s @%s", f.word(), word, name),
		family: f,
		exprs:  []expr.Any{addrLoad(f, dst), in(name)},
	}
}

// endpointIn matches datagrams to the endpoints of a family.
func endpointIn(f ipFamily) term {
	next := uint32(reg4)
	if f == v6 {
		next = reg16
	}
	name := endpointSet + f.String()
	return term{
		text:   fmt.Sprintf("%s daddr . udp dport @%s", f.word(), name),
		family: f,
		proto:  udp,
		exprs:  []expr.Any{addrLoad(f, true), transport(next, 2, 2), in(name)},
	}
}

// isDNS matches questions to a resolver.
func isDNS() term {
	return term{
		text: "meta l4proto . th dport @" + dnsSetName,
		exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
			transport(reg4, 2, 2),
			in(dnsSetName),
		},
	}
}

// answers matches what comes back: packets of connections that began the other
// way, and errors about them.
func answers() term {
	states := native(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	const reply = 1 // IP_CT_DIR_REPLY
	return term{
		text: "ct direction reply ct state established,related",
		exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeyDIRECTION, Register: reg}, is([]byte{reply}),
			&expr.Ct{Key: expr.CtKeySTATE, Register: reg},
			&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: states, Xor: native(0)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: native(0)},
		},
	}
}

// addrLoad loads an address of the IP header.
func addrLoad(f ipFamily, dst bool) expr.Any {
	offset, size := uint32(12), uint32(4)
	if f == v6 {
		offset, size = 8, 16
	}
	if dst {
		offset += size
	}
	return network(reg, offset, size)
}

func network(to, offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: to, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
}

func transport(to, offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: to, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: size}
}

// in looks a value up in a set.
func in(name string) expr.Any { return &expr.Lookup{SourceRegister: reg, SetName: name} }
