package flood_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// TestGarbage sends, to the port of a hop, datagrams that look like those of
// the hop's session until they are decrypted.
func TestGarbage(t *testing.T) {
	tests := []struct {
		name string
		hop  int
		open func(n *e2e.Network, r *e2e.Relays) attack
	}{
		{"UDP port", 0, func(n *e2e.Network, r *e2e.Relays) attack {
			return attack{
				from: n.Other, to: e2e.ClientAddr().V4,
				genuine: netip.AddrPortFrom(e2e.EntryAddr().V4, e2e.EntryPort),
				watched: n.Client, dev: "eth0",
			}
		}},
		{"link's port", 1, func(n *e2e.Network, r *e2e.Relays) attack {
			return attack{
				from: n.Near, to: e2e.Outer().V4,
				genuine: netip.AddrPortFrom(e2e.ExitAddr().V4, e2e.ExitPort),
				watched: n.Entry, dev: r.Entry.Config.Name,
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			r := n.StartRelays(t, e2e.RelayOptions{})
			i := n.Run(t, twoHopChain(r))
			answers(t, n, patience, near(), far())
			a := tt.open(n, r)
			index := a.index(t, n)
			to := netip.AddrPortFrom(a.to, status(t, i).Hops[tt.hop].ListenPort)
			before, after := flood{
				net: n, on: i, bound: twoHops, beside: []goal{near(), far()}, after: []goal{near(), far()},
				senders: func(t *testing.T) []*sender {
					return []*sender{send(t, a.from, to, transport(index))}
				},
			}.run(t)
			// What does not decrypt dies in the device. The link's garbage
			// arrives through the entry's.
			died := after.Hops[tt.hop].Drops["device_in"] - before.Hops[tt.hop].Drops["device_in"]
			t.Logf("%d datagrams of garbage reached the device of %s", died, after.Hops[tt.hop].Name)
			if died < arrived {
				t.Errorf("%s: %d datagrams died in the device: no flood; drops %v", after.Hops[tt.hop].Name, died, after.Hops[tt.hop].Drops)
			}
			// A datagram with an index that nobody has dies there, too, but
			// before it is decrypted. That the device took this one is known
			// because the peer still sends to it, and is understood: an index
			// is never used again once its session is gone.
			if still := a.index(t, n); !bytes.Equal(still, index) {
				t.Errorf("the session's receiver index was % x, now it is % x: what the garbage met is not known", index, still)
			}
		})
	}
}

// An attack is where garbage comes from and goes to, and where the session
// that it imitates can be seen.
type attack struct {
	from    *netlab.Host
	to      netip.Addr
	genuine netip.AddrPort // the hop's peer
	watched *netlab.Host
	dev     string
}

// index returns the receiver index that the hop's peer sends to, now, in answers
// that arrive. A session keeps it for its two minutes, which outlast a test.
func (a *attack) index(t *testing.T, n *e2e.Network) []byte {
	t.Helper()
	sniffed := a.watched.Capture(t, a.dev, netlab.CaptureOptions{Match: func(p *netlab.Packet) bool {
		return p.Src == a.genuine && p.Dst.Addr() == a.to && len(p.Payload) > 32 && p.Payload[0] == 4
	}})
	defer sniffed.Close()
	answers(t, n, patience, near(), far())
	if !sniffed.Wait(1, time.Second) {
		t.Fatalf("no transport message of %v was seen", a.genuine)
	}
	return sniffed.Packets()[0].Payload[4:8]
}

// transport is transport messages: type 4, a receiver index, a counter, and
// then nothing that ever was encrypted, of up to what fits the outer tunnel.
func transport(index []byte) payload {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	sizes := make([]int, 1000)
	for i := range sizes {
		sizes[i] = 33 + random.IntN(1392-33)
	}
	return payload{sizes: sizes, segments: batch, rate: 150_000, head: func(b []byte) {
		binary.LittleEndian.PutUint32(b, 4)
		copy(b[4:], index)
		binary.LittleEndian.PutUint64(b[8:], random.Uint64())
	}}
}
