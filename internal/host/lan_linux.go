package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"multihop/internal/firewall"
)

// onLink is a network that an interface is directly connected to.
type onLink struct {
	prefix netip.Prefix
	index  int
}

// view is what of the host's own there is around our routes.
type view struct {
	lan    []firewall.LANPrefix // private or link local, directly connected; sorted
	others []netip.Prefix       // prefixes that other instances have in the table main
}

// look reads the table main and the addresses.
func (k *kernel) look() (*view, error) {
	connected, names, err := k.connected()
	if err != nil {
		return nil, err
	}
	tuns := map[string]bool{k.tun: true}
	for _, name := range k.otherTUNs() {
		tuns[name] = true
	}
	slot := map[uint32]bool{}
	for _, j := range otherJournals(k.dir, k.tun) {
		slot[uint32(guardMetric+j.Slot)] = true
	}
	v := &view{}
	lan := private()
	err = k.routes(unix.RT_TABLE_MAIN, func() { *v = view{} }, func(r *hostRoute) {
		dev := names[r.index]
		switch {
		case r.proto == Protocol:
			if dev != k.tun && (tuns[dev] || r.kind == unreachable && slot[r.metric]) {
				v.others = append(v.others, r.prefix())
			}
		case r.direct() && dev != "" && !tuns[dev] && connected[onLink{r.prefix(), r.index}] && lan.has(r.prefix()):
			v.lan = append(v.lan, firewall.LANPrefix{Prefix: r.prefix(), Interface: dev})
		}
	})
	slices.SortFunc(v.lan, func(a, b firewall.LANPrefix) int {
		if c := comparePrefixes(a.Prefix, b.Prefix); c != 0 {
			return c
		}
		return strings.Compare(a.Interface, b.Interface)
	})
	v.lan = slices.Compact(v.lan)
	slices.SortFunc(v.others, comparePrefixes)
	v.others = slices.Compact(v.others)
	return v, err
}

// connected returns the networks of the interfaces' addresses: what DHCP or
// anybody else routes besides is none of them. names has the interfaces' names,
// without the loopback.
func (k *kernel) connected() (networks map[onLink]bool, names map[int]string, err error) {
	var links []netlink.Link
	err = retried(func() error {
		return k.try("list interfaces", func() (err error) {
			links, err = k.nl.LinkList()
			return err
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list of interfaces: %w", err)
	}
	names = make(map[int]string)
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback == 0 {
			names[l.Attrs().Index] = l.Attrs().Name
		}
	}
	var addrs []netlink.Addr
	err = retried(func() error {
		return k.try("list addresses", func() (err error) {
			addrs, err = k.nl.AddrList(nil, netlink.FAMILY_ALL)
			return err
		})
	})
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil, fmt.Errorf("list of addresses: %w", err)
	}
	networks = make(map[onLink]bool)
	for _, a := range addrs {
		addr, ok := netip.AddrFromSlice(a.IP)
		bits, size := a.Mask.Size()
		if addr = addr.Unmap(); ok && addr.BitLen() == size && bits < size {
			networks[onLink{netip.PrefixFrom(addr, bits).Masked(), a.LinkIndex}] = true
		}
	}
	return networks, names, nil
}

// others returns the other instances' own datagrams. Before Apply of theirs they
// ask for the addresses of names.
func (k *kernel) others() []firewall.Other {
	var out []firewall.Other
	for _, j := range otherJournals(k.dir, k.tun) {
		o := firewall.Other{Mark: j.mark()}
		for _, e := range j.Endpoints {
			if e.IsValid() && e.Port() != 0 {
				o.Endpoints = append(o.Endpoints, e)
			}
		}
		for _, a := range j.Resolvers {
			if a.IsValid() {
				o.Resolvers = append(o.Resolvers, a)
			}
		}
		if o.Mark != 0 && len(o.Endpoints)+len(o.Resolvers) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// otherTUNs returns the names of the other instances' TUNs, sorted.
func (k *kernel) otherTUNs() []string {
	var out []string
	for _, j := range otherJournals(k.dir, k.tun) {
		if j.Netns == "" && len(j.Changes) > 0 {
			out = append(out, j.Name)
		}
	}
	slices.Sort(out)
	return out
}
