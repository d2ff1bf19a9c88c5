package firewall

import (
	"slices"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A rule is matches, and then what happens to a packet that meets them all.
type rule []term

// A term is one part of a rule, in the words of nft and as the kernel wants it.
// The two stand side by side so that they cannot drift apart.
type term struct {
	text   string
	family ipFamily // 0: of any; else the packet's must be this
	proto  uint8    // 0: any; else the transport protocol must be this
	exprs  []expr.Any
}

// An ipFamily is an IP version as nftables numbers it.
type ipFamily uint8

const (
	v4 ipFamily = unix.NFPROTO_IPV4
	v6 ipFamily = unix.NFPROTO_IPV6
)

func families() []ipFamily { return []ipFamily{v4, v6} }

// String is what the names of sets end in.
func (f ipFamily) String() string {
	if f == v4 {
		return "4"
	}
	return "6"
}

// word is the family's header in the words of nft.
func (f ipFamily) word() string {
	if f == v4 {
		return "ip"
	}
	return "ip6"
}

// Transport protocols.
const (
	tcp   = unix.IPPROTO_TCP
	udp   = unix.IPPROTO_UDP
	icmp6 = unix.IPPROTO_ICMPV6
)

// Registers of the kernel's rules: reg is the first, of 16 bytes; reg4 and reg16
// follow a value of at most 4, and of 16 bytes in it.
const (
	reg   = unix.NFT_REG_1
	reg4  = unix.NFT_REG32_01
	reg16 = unix.NFT_REG_2
)

// String is the rule in the words of nft.
func (r rule) String() string {
	words := make([]string, len(r))
	for i, t := range r {
		words[i] = t.text
	}
	return strings.Join(words, " ")
}

// exprs is the rule as the kernel wants it. Family and protocol, without which
// the offsets into headers mean nothing, come once, before the first need.
func (r rule) exprs() []expr.Any {
	var out []expr.Any
	var family ipFamily
	var proto uint8
	for _, t := range r {
		if t.family != family && t.family != 0 {
			family = t.family
			out = append(out, metaIs(expr.MetaKeyNFPROTO, []byte{byte(family)})...)
		}
		if t.proto != proto && t.proto != 0 {
			proto = t.proto
			out = append(out, metaIs(expr.MetaKeyL4PROTO, []byte{proto})...)
		}
		out = append(out, t.exprs...)
	}
	return slices.Clip(out)
}

// metaIs compares what the kernel knows of a packet.
func metaIs(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: reg}, is(value)}
}

func is(value []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value} }

// native is a number that is not on the wire.
func native(v uint32) []byte { return binaryutil.NativeEndian.PutUint32(v) }
