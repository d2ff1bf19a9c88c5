package firewall

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Names of the sets of the others' marks with what each may reach.
const (
	otherEndpointSet = "other_endpoints"
	otherResolverSet = "other_resolvers"
)

// sent is where datagrams with a mark may go; the port is 0 for a resolver.
type sent struct {
	mark uint32
	to   netip.AddrPort
}

// otherSets returns the sets of what the other instances may send.
func otherSets(others []Other) []set {
	var endpoints, resolvers []sent
	for _, o := range others {
		for _, e := range o.Endpoints {
			endpoints = append(endpoints, sent{o.Mark, e})
		}
		for _, a := range o.Resolvers {
			resolvers = append(resolvers, sent{o.Mark, netip.AddrPortFrom(a, 0)})
		}
	}
	return append(sentSets(otherEndpointSet, endpoints), sentSets(otherResolverSet, resolvers)...)
}

// sentSets returns the sets NAME4 and NAME6. Only those of endpoints have ports.
func sentSets(name string, all []sent) []set {
	plain := func(s sent) sent {
		return sent{s.mark, netip.AddrPortFrom(plainAddr(s.to.Addr()), s.to.Port())}
	}
	order := func(a, b sent) int { return cmp.Or(cmp.Compare(a.mark, b.mark), a.to.Compare(b.to)) }
	ports := name == otherEndpointSet
	return perFamily(name, func(s *set, f ipFamily) {
		s.types = []nftables.SetDatatype{nftables.TypeMark, addrType(f)}
		if ports {
			s.types = append(s.types, nftables.TypeInetService)
		}
		for _, x := range sorted(all, plain, order) {
			if familyOf(x.to.Addr()) != f {
				continue
			}
			text := fmt.Sprintf("0x%08x . %s", x.mark, x.to.Addr())
			key := append(native(x.mark), x.to.Addr().AsSlice()...)
			if ports {
				text, key = fmt.Sprintf("%s . %d", text, x.to.Port()), append(key, port(x.to.Port())...)
			}
			s.add(text, key)
		}
	})
}

// otherEndpointIn matches datagrams of the other instances to their endpoints.
func otherEndpointIn(f ipFamily) term {
	t := otherIn(f, otherEndpointSet, " . udp dport", transport(afterAddr(f), 2, 2))
	t.proto = udp
	return t
}

// otherResolverIn matches packets with the mark of another instance to its
// resolvers.
func otherResolverIn(f ipFamily) term { return otherIn(f, otherResolverSet, "") }

// otherIn matches a mark, an address, and what more loads and words names.
func otherIn(f ipFamily, name, words string, more ...expr.Any) term {
	load := addrLoad(f, true).(*expr.Payload)
	load.DestRegister = reg4
	name += f.String()
	exprs := append([]expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: reg}, load}, more...)
	return term{
		text:   fmt.Sprintf("meta mark . %s daddr%s @%s", f.word(), words, name),
		family: f,
		exprs:  append(exprs, in(name)),
	}
}

// afterAddr is the register after a mark and an address.
func afterAddr(f ipFamily) uint32 {
	if f == v4 {
		return reg4 + 1
	}
	return reg4 + 4
}
