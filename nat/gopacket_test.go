package nat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"

	"multihop/packet"
)

// TestGopacket has another implementation build packets for one address and for
// another. A translation of the first must be the second, and verify there.
func TestGopacket(t *testing.T) {
	each(t, func(t *testing.T, m message, ours, hop, far netip.Addr, seed uint64) {
		for _, out := range []bool{true, false} {
			for _, long := range []bool{false, true} {
				build := func(a netip.Addr) []byte {
					rnd := rand.New(rand.NewPCG(seed, 1))
					if out {
						return serialize(t, rnd, a, far, m, long)
					}
					return serialize(t, rnd, far, a, m, long)
				}
				after := thereAndBack(t, build(ours), build(hop), ours, hop, out)
				verify(t, after, m.decoded)
			}
		}
	})
}

// TestGopacketErrors is TestGopacket for errors that quote each of its packets,
// as a whole and cut.
func TestGopacketErrors(t *testing.T) {
	each(t, func(t *testing.T, m message, ours, hop, far netip.Addr, seed uint64) {
		for _, out := range []bool{true, false} {
			long := seed%2 == 0
			full := false
			build := func(a netip.Addr) (outer, quoted []byte) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				src, dst := a, far
				if !out {
					src, dst = far, a
				}
				quoted = serialize(t, rnd, dst, src, m, rnd.IntN(2) == 0)
				n := len(quoted)
				if full = rnd.IntN(2) == 0; !full {
					n = min(n, 48+rnd.IntN(n)) &^ 1 // IPv6's header and 8 bytes at least
				}
				return writeError(t, rnd, src, dst, quoted[:n], long), quoted
			}
			before, _ := build(ours)
			want, quoted := build(hop)
			after := thereAndBack(t, before, want, ours, hop, out)
			decoded := layers.LayerTypeICMPv4
			if ours.Is6() {
				decoded = layers.LayerTypeICMPv6
			}
			verify(t, after, decoded)
			if full {
				verify(t, after[len(after)-len(quoted):], m.decoded)
			}
		}
	})
}

// TestGopacketFragments translates the fragments of each packet, and has
// gopacket join and verify them.
func TestGopacketFragments(t *testing.T) {
	each(t, func(t *testing.T, m message, ours, hop, far netip.Addr, seed uint64) {
		for _, out := range []bool{true, false} {
			build := func(a netip.Addr) (whole []byte, pieces [][]byte) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				src, dst := a, far
				if !out {
					src, dst = far, a
				}
				whole = serialize(t, rnd, src, dst, m, false)
				return whole, writeFragments(t, whole, 32)
			}
			_, before := build(ours)
			whole, want := build(hop)
			d4, d6 := ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter()
			var joined []byte
			for i, b := range before {
				after := thereAndBack(t, b, want[i], ours, hop, out)
				joined = slices.Concat(joined, join(t, d4, d6, after))
			}
			if len(before) == 1 {
				continue
			}
			head := 20
			if ours.Is6() {
				head = 40
			}
			if !bytes.Equal(joined, whole[head:]) {
				t.Fatalf("joined:\ngot  % x\nwant % x", joined, whole[head:])
			}
		}
	})
}

// each runs test with every message in every version, and many addresses.
func each(t *testing.T, test func(t *testing.T, m message, ours, hop, far netip.Addr, seed uint64)) {
	rounds := uint64(400)
	if testing.Short() || raceEnabled {
		rounds = 20
	}
	for _, m := range messages() {
		for _, n := range []int{4, 16} {
			version := map[int]string{4: "4", 16: "6"}[n]
			if !strings.Contains(m.versions, version) {
				continue
			}
			t.Run(fmt.Sprintf("%s over IPv%s", m.name, version), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(9, uint64(n)))
				for seed := range rounds {
					test(t, m, addr(noise(rnd, n)), addr(noise(rnd, n)), addr(noise(rnd, n)), seed)
				}
			})
		}
	}
}

// thereAndBack translates before to after and back, and returns after.
func thereAndBack(t *testing.T, before, after []byte, ours, hop netip.Addr, out bool) []byte {
	t.Helper()
	b := bytes.Clone(before)
	there, back := rewrite(t, ours, hop), rewrite(t, hop, ours)
	m := parse(t, b)
	if v := translate(&there, b, &m, out); v != packet.OK || !bytes.Equal(b, after) {
		t.Fatalf("%v to %v: verdict %v\nbefore % x\ngot    % x\nwant   % x", ours, hop, v, before, b, after)
	}
	got := bytes.Clone(b)
	if v := translate(&back, b, &m, out); v != packet.OK || !bytes.Equal(b, before) {
		t.Fatalf("and back: verdict %v\ngot  % x\nwant % x", v, b, before)
	}
	return got
}

// verify has gopacket decode the whole packet b, find a layer of type want
// unless that is 0, and verify every checksum that it knows.
func verify(t *testing.T, b []byte, want gopacket.LayerType) {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(bytes.Clone(b), first, gopacket.Default)
	found := verifyChecksums(t, p, nil, want)
	if f, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment); ok { // gopacket stops there
		rest := gopacket.NewPacket(f.Payload, f.NextHeader.LayerType(), gopacket.Default)
		found = verifyChecksums(t, rest, p.NetworkLayer(), want)
	}
	if !found && want != 0 {
		t.Fatalf("no %v: %v\n% x", want, p, b)
	}
}

// verifyChecksums verifies those in p, whose first layers may be in ip, and
// reports whether p has a layer of type want.
func verifyChecksums(t *testing.T, p gopacket.Packet, ip gopacket.NetworkLayer, want gopacket.LayerType) bool {
	t.Helper()
	for _, l := range p.Layers() {
		if n, ok := l.(gopacket.NetworkLayer); ok {
			ip = n
		}
		if u, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := u.SetNetworkLayerForChecksum(ip); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
		t.Fatalf("gopacket: %v, %+v: %v", err, bad, p)
	}
	return p.Layer(want) != nil
}

// join gives gopacket a fragment, and returns the payload of the packet that it
// completes.
func join(t *testing.T, d4 *ip4defrag.IPv4Defragmenter, d6 *ip6defrag.IPv6Defragmenter, b []byte) []byte {
	t.Helper()
	if b[0]>>4 == 4 {
		ip := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if err, sum := ip.VerifyChecksum(); err != nil || !sum.Valid {
			t.Fatalf("header checksum: %+v, %v: % x", sum, err, b)
		}
		whole, err := d4.DefragIPv4(ip)
		if err != nil {
			t.Fatal(err)
		}
		if whole == nil {
			return nil
		}
		return whole.Payload
	}
	p := gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default)
	f, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
	if !ok {
		return nil
	}
	if whole := d6.DefragIPv6(p.NetworkLayer().(*layers.IPv6), f); whole != nil {
		return whole.Payload
	}
	return nil
}
