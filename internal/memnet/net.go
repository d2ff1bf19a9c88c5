package memnet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// MTU is the size in bytes of the largest packet that a Net carries. It drops
// larger ones: nothing in it fragments.
const MTU = 1500

// A Net is an internet. New makes one; it is safe for concurrent use, needs no
// closing, and has no goroutine.
type Net struct {
	lost  atomic.Uint64
	table atomic.Pointer[[]route] // longest prefix first

	mu  sync.Mutex // guards changes of table, and udp
	udp map[netip.Addr]*udpHost
}

type route struct {
	prefix netip.Prefix
	host   *Host
}

// New returns an empty internet.
func New() *Net {
	n := &Net{udp: make(map[netip.Addr]*udpHost)}
	n.table.Store(new([]route))
	return n
}

// Attach adds a host with these prefixes to n. The net calls deliver with the
// host's packets: it must not wait, returns how many it took (the rest are the
// host's drops), and the packets are its own until it returns. Senders call it
// concurrently.
func (n *Net) Attach(name string, deliver func(pkts [][]byte) int, prefixes ...netip.Prefix) (*Host, error) {
	h := &Host{net: n, name: name, deliver: deliver}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.addLocked(h, prefixes); err != nil {
		return nil, err
	}
	return h, nil
}

// add gives more prefixes to a host: all or none.
func (n *Net) add(h *Host, prefixes []netip.Prefix) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addLocked(h, prefixes)
}

func (n *Net) addLocked(h *Host, prefixes []netip.Prefix) error {
	next := slices.Clone(*n.table.Load())
	for _, p := range prefixes {
		if !p.IsValid() {
			return fmt.Errorf("memnet: %s: invalid prefix", h.name)
		}
		p = p.Masked()
		i := slices.IndexFunc(next, func(r route) bool { return r.prefix == p })
		if i >= 0 {
			return fmt.Errorf("memnet: %s: %v is already %s's", h.name, p, next[i].host.name)
		}
		next = append(next, route{p, h})
	}
	slices.SortStableFunc(next, func(a, b route) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	n.table.Store(&next)
	return nil
}

// Host returns the host that packets to addr go to, or nil.
func (n *Net) Host(addr netip.Addr) *Host {
	for _, r := range *n.table.Load() {
		if r.prefix.Contains(addr) {
			return r.host
		}
	}
	return nil
}

// Lost returns how many packets had no host, were larger than MTU, or were no
// IP packets.
func (n *Net) Lost() uint64 { return n.lost.Load() }

// route delivers packets, run by run of those for the same host.
func (n *Net) route(pkts [][]byte) {
	runs(pkts, n.next, func(h *Host, run [][]byte) {
		if h == nil {
			n.lost.Add(uint64(len(run)))
			return
		}
		h.receive(run)
	})
}

func (n *Net) next(pkt []byte) *Host {
	dst := destination(pkt)
	if !dst.IsValid() || len(pkt) > MTU {
		return nil
	}
	return n.Host(dst)
}

// destination reads no more of a packet than a switch must: hosts get malformed
// packets too, as they would elsewhere.
func destination(pkt []byte) netip.Addr {
	switch {
	case len(pkt) >= 20 && pkt[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(pkt[16:20]))
	case len(pkt) >= 40 && pkt[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(pkt[24:40]))
	}
	return netip.Addr{}
}

// runs calls do with each longest run of packets that have the same key.
func runs[K comparable](pkts [][]byte, key func([]byte) K, do func(K, [][]byte)) {
	for len(pkts) > 0 {
		k, n := key(pkts[0]), 1
		for n < len(pkts) && key(pkts[n]) == k {
			n++
		}
		do(k, pkts[:n])
		pkts = pkts[n:]
	}
}
