package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

const (
	endpointSet = "endpoints"
	dnsSetName  = "dns"
)

// elementsPerMessage keeps a list of elements under the 64 KiB that an attribute
// of netlink can have.
const elementsPerMessage = 500

// A set is a named set of a table.
type set struct {
	name     string
	types    []nftables.SetDatatype // of the parts of a key
	interval bool
	text     []string // elements, in the words of nft
	elements []nftables.SetElement
}

// nft returns the set without its elements. Lookups are by name, so the number
// means nothing; but package nftables, given 0, counts in a global variable.
func (s *set) nft(t *nftables.Table) *nftables.Set {
	return &nftables.Set{
		Table: t, ID: 1, Name: s.name,
		KeyType:       nftables.MustConcatSetType(s.types...),
		Concatenation: len(s.types) > 1,
		Interval:      s.interval,
		KeyByteOrder:  binaryutil.BigEndian,
	}
}

// fill adds the elements to the set that is there.
func (s *set) fill(conn *nftables.Conn, t *nftables.Table) error {
	for some := range slices.Chunk(s.elements, elementsPerMessage) {
		if err := conn.SetAddElements(s.nft(t), some); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

func addrType(f ipFamily) nftables.SetDatatype {
	if f == v4 {
		return nftables.TypeIPAddr
	}
	return nftables.TypeIP6Addr
}

func familyOf(a netip.Addr) ipFamily {
	if a.Is4() {
		return v4
	}
	return v6
}

// plainAddr is a without what rules do not know: an IPv4 address in the form of
// an IPv6 one, a zone.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// addrSets returns the sets NAME4 and NAME6 of addresses.
func addrSets(name string, addrs []netip.Addr) []set {
	return perFamily(name, func(s *set, f ipFamily) {
		s.types = []nftables.SetDatatype{addrType(f)}
		for _, a := range sorted(addrs, plainAddr, netip.Addr.Compare) {
			if familyOf(a) == f {
				s.add(a.String(), a.AsSlice())
			}
		}
	})
}

// endpointSets returns the sets of the endpoints of either family.
func endpointSets(endpoints []netip.AddrPort) []set {
	plain := func(e netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(plainAddr(e.Addr()), e.Port()) }
	return perFamily(endpointSet, func(s *set, f ipFamily) {
		s.types = []nftables.SetDatatype{addrType(f), nftables.TypeInetService}
		for _, e := range sorted(endpoints, plain, netip.AddrPort.Compare) {
			if familyOf(e.Addr()) == f {
				s.add(fmt.Sprintf("%s . %d", e.Addr(), e.Port()), append(e.Addr().AsSlice(), port(e.Port())...))
			}
		}
	})
}

// prefixSets returns the sets NAME4 and NAME6 of the addresses in prefixes.
func prefixSets(name string, prefixes []netip.Prefix) []set {
	return perFamily(name, func(s *set, f ipFamily) {
		s.types = []nftables.SetDatatype{addrType(f)}
		s.interval = true
		for _, p := range outermost(prefixes) {
			if familyOf(p.Addr()) != f {
				continue
			}
			s.add(p.String(), p.Addr().AsSlice())
			if next := after(p); next.IsValid() {
				s.elements = append(s.elements, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
			}
		}
	})
}

// dnsSet is the set of protocols and ports that mean DNS.
func dnsSet() set {
	s := set{name: dnsSetName, types: []nftables.SetDatatype{nftables.TypeInetProto, nftables.TypeInetService}}
	for _, proto := range []uint8{tcp, udp} {
		for _, p := range []uint16{53, 853} {
			s.add(fmt.Sprintf("%s . %d", protoName(proto), p), append([]byte{proto, 0, 0, 0}, port(p)...))
		}
	}
	return s
}

func perFamily(name string, fill func(s *set, f ipFamily)) []set {
	var out []set
	for _, f := range families() {
		s := set{name: name + f.String()}
		fill(&s, f)
		out = append(out, s)
	}
	return out
}

func (s *set) add(text string, key []byte) {
	s.text = append(s.text, text)
	s.elements = append(s.elements, nftables.SetElement{Key: key})
}

// port is a port as the last part of a key: parts are padded to 4 bytes.
func port(p uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, p), 0, 0) }

// sorted returns the values of s after plain, each once.
func sorted[T comparable](s []T, plain func(T) T, compare func(T, T) int) []T {
	out := make([]T, len(s))
	for i, v := range s {
		out[i] = plain(v)
	}
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

// outermost returns the prefixes that are in no other one, sorted.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	// One that holds another has the same or a smaller address, and fewer bits.
	all := sorted(prefixes, netip.Prefix.Masked, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var out []netip.Prefix
	for _, p := range all {
		if len(out) == 0 || !out[len(out)-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}

// after returns the address after the last of p; the zero Addr if there is none.
func after(p netip.Prefix) netip.Addr {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(last)
	return a.Next()
}

// sameElements reports whether a and b have the same elements, in any order.
func sameElements(a, b []nftables.SetElement) bool {
	if len(a) != len(b) {
		return false
	}
	order := func(x, y nftables.SetElement) int {
		if c := bytes.Compare(x.Key, y.Key); c != 0 || x.IntervalEnd == y.IntervalEnd {
			return c
		}
		if x.IntervalEnd {
			return -1
		}
		return 1
	}
	a, b = slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order)
	return slices.EqualFunc(a, b, func(x, y nftables.SetElement) bool { return order(x, y) == 0 })
}
