package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"multihop/internal/memnet"
	"multihop/packet"
)

// observed is what relays and sites saw. Nothing in it comes from the client.
type observed struct {
	relays map[string]map[memnet.Flow]uint64 // packets that each decapsulated
	sites  map[string]map[netip.Addr]uint64  // packets that reached each, by source
}

func (w *demoNet) observe() observed {
	o := observed{
		relays: make(map[string]map[memnet.Flow]uint64),
		sites:  make(map[string]map[netip.Addr]uint64),
	}
	for _, r := range w.relays {
		o.relays[r.name] = r.relay.Forwarded()
	}
	for _, s := range w.sites {
		s.seen.mu.Lock()
		o.sites[s.site.Name()] = maps.Clone(s.seen.n)
		s.seen.mu.Unlock()
	}
	return o
}

// to is the flow of packets from the client's tunnel through r.
func (r demoRelay) to(proto uint8, dst netip.AddrPort) memnet.Flow {
	return memnet.Flow{Proto: proto, Src: r.tunnel, Dst: dst}
}

// flows returns what each relay must decapsulate if every packet takes the path
// of its route: the last hop TCP to the site, those before it nothing but the
// next one's datagrams.
func (w *demoNet) flows() map[string][]memnet.Flow {
	want := make(map[string][]memnet.Flow)
	for _, s := range w.sites {
		for i, r := range s.via {
			f := r.to(packet.ProtoTCP, netip.AddrPortFrom(s.addr, 80))
			if i+1 < len(s.via) {
				f = r.to(packet.ProtoUDP, s.via[i+1].relay.Endpoint())
			}
			want[r.name] = append(want[r.name], f)
		}
	}
	return want
}

// prove returns nil only if each relay decapsulated what the routes say and
// nothing else, and each site saw the last hop's tunnel address and no other.
func (o observed) prove(w *demoNet) error {
	var errs []error
	for name, want := range w.flows() {
		for _, f := range want {
			if o.relays[name][f] == 0 {
				errs = append(errs, fmt.Errorf("not proven: %s decapsulated no %s", name, flowText(f)))
			}
		}
		for _, f := range sortedFlows(o.relays[name]) {
			if !slices.Contains(want, f) {
				errs = append(errs, fmt.Errorf("disproven: %s decapsulated %s", name, flowText(f)))
			}
		}
	}
	for _, s := range w.sites {
		name, want := s.site.Name(), s.last().tunnel
		if o.sites[name][want] == 0 {
			errs = append(errs, fmt.Errorf("not proven: %s saw nothing from %s", name, want))
		}
		for _, src := range sortedAddrs(o.sites[name]) {
			if src != want {
				errs = append(errs, fmt.Errorf("disproven: %s saw packets from %s, not %s", name, src, want))
			}
		}
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// path says which hops packets to a site took, as far as relays saw them.
func (o observed) path(w *demoNet, s demoSite) string {
	var paths []string
	for _, r := range w.relays {
		if !o.carried(r.name, func(f memnet.Flow) bool { return f.Dst.Addr() == s.addr }) {
			continue
		}
		names := []string{r.name}
		for next, more := r, true; more; {
			more = false
			for _, c := range w.relays {
				if o.carried(c.name, func(f memnet.Flow) bool { return f.Dst == next.relay.Endpoint() }) &&
					!slices.Contains(names, c.name) {
					names, next, more = slices.Insert(names, 0, c.name), c, true
					break
				}
			}
		}
		paths = append(paths, strings.Join(names, " > "))
	}
	return listOrNone(paths)
}

// carried reports whether a relay decapsulated such a packet.
func (o observed) carried(relay string, is func(memnet.Flow) bool) bool {
	for f := range o.relays[relay] {
		if is(f) {
			return true
		}
	}
	return false
}

// sources says from which addresses packets reached a site.
func (o observed) sources(s demoSite) string {
	var addrs []string
	for _, a := range sortedAddrs(o.sites[s.site.Name()]) {
		addrs = append(addrs, a.String())
	}
	return listOrNone(addrs)
}

func listOrNone(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

func flowText(f memnet.Flow) string {
	return fmt.Sprintf("%s from %s to %s", protocolName(f.Proto), f.Src, f.Dst)
}

func protocolName(p uint8) string {
	switch p {
	case packet.ProtoTCP:
		return "TCP"
	case packet.ProtoUDP:
		return "UDP"
	}
	return fmt.Sprintf("protocol %d", p)
}

func sortedFlows(flows map[memnet.Flow]uint64) []memnet.Flow {
	return slices.SortedFunc(maps.Keys(flows), func(a, b memnet.Flow) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), a.Src.Compare(b.Src), a.Dst.Compare(b.Dst))
	})
}

func sortedAddrs(addrs map[netip.Addr]uint64) []netip.Addr {
	return slices.SortedFunc(maps.Keys(addrs), netip.Addr.Compare)
}
