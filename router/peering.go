package router

import (
	"slices"

	"github.com/gaissmai/bart"
	"golang.zx2c4.com/wireguard/device"

	"multihop/packet"
)

// A peering is what a port knows of its device's peers. Immutable, but for the
// flights.
type peering struct {
	lpm *bart.Fast[int] // AllowedIPs to index of out; nil: one peer takes all
	one int             // its index

	// Per peer, what is being encrypted. The place of a peer that is removed
	// stays its own: packets on their way carry the index.
	out   []*flight
	index map[Key]int // of the peers that there are
}

// maxPeerings is how many peers a device may have had, those removed since
// included: the trailer has 15 bits for the index.
const maxPeerings = 1 << 15

// newPeering returns the peering of peers, with the flights of those that old
// has too. A nil old has none.
func newPeering(old *peering, peers []Peer) *peering {
	n := &peering{index: make(map[Key]int, len(peers))}
	if old != nil {
		n.out = slices.Clone(old.out)
	}
	for _, peer := range peers {
		i, ok := 0, false
		if old != nil {
			i, ok = old.index[peer.PublicKey]
		}
		if !ok {
			i = len(n.out)
			n.out = append(n.out, new(flight))
		}
		n.index[peer.PublicKey] = i
		n.one = i
	}
	if len(peers) > 1 {
		n.lpm = new(bart.Fast[int])
		for _, peer := range peers {
			for _, prefix := range peer.AllowedIPs {
				n.lpm.Insert(prefix, n.index[peer.PublicKey]) // WireGuard: the last peer wins
			}
		}
	}
	return n
}

// find returns the index of the peer that WireGuard will choose for pkt.
func (n *peering) find(pkt []byte) (int, bool) {
	if n.lpm == nil {
		return n.one, true
	}
	var m packet.Meta
	if m.Parse(pkt) != packet.OK {
		return 0, false
	}
	return n.lpm.Lookup(m.Dst)
}

// setPeers tells the port of the peers that its device has now.
func (p *port) setPeers(peers []Peer) {
	old := p.peers.Load()
	n := newPeering(old, peers)
	for key, i := range old.index {
		if _, ok := n.index[key]; !ok { // what was inside died with it
			old.out[i].empty(p.hop.r.clock())
		}
	}
	for key, i := range n.index {
		if f := n.out[i]; f.flush == nil {
			if q := p.dev.LookupPeer(device.NoisePublicKey(key)); q != nil {
				f.flush = q.FlushStagedPackets
			}
		}
	}
	p.peers.Store(n)
}
