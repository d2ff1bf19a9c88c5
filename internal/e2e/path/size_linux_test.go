package path_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// A stream is datagrams of every size, one after the other, in one direction.
type stream struct {
	from, to *netlab.Host
	addr     netip.Addr // of to, as from knows it
	mode     mode
	most     int // payload of the largest
	fits     int // the largest IP packet that fits
}

// check sends one datagram of each size. Those that fit must be delivered; the
// others too, but for modes that set DF: then the program must be told what
// would fit.
func (s stream) check(t *testing.T, f family) {
	t.Helper()
	to := listen(t, s.to)
	from := dial(t, s.from, netip.AddrPortFrom(s.addr, to.port), s.mode)
	delivered, told, wrong := 0, 0, 0
	var slowest time.Duration
	for size := 1; size <= s.most; size++ {
		want := fate{delivered: true}
		if n := size + f.header(); n > s.fits && (s.mode == df || s.mode == probe) {
			want = fate{tooBig: s.fits}
		}
		start := time.Now()
		got := cross(from, to, size, 3*time.Second)
		slowest = max(slowest, time.Since(start))
		switch {
		case got != want:
			t.Errorf("%d bytes of payload: %v, want %v", size, got, want)
			if wrong++; wrong == 5 {
				t.Fatalf("that is enough; %d were delivered and %d signalled", delivered, told)
			}
		case got.delivered:
			delivered++
		default:
			told++
			time.Sleep(1200 * time.Microsecond) // ICMP errors are limited to 1,000 a second
		}
	}
	t.Logf("%d delivered, %d signalled, the slowest after %v", delivered, told, slowest)
}

// sizes: datagrams of each size up to a full Ethernet packet's, with DF and
// without, whoever judges them, are delivered or signalled, both ways.
func sizes(t *testing.T, c *running, s *side, f family) {
	modes := []struct {
		name string
		mode mode
	}{{"DF", df}, {"DF past the kernel", probe}, {"no DF", dontDF}}
	if f.like.Is4() { // IPv6 is not fragmented by routers, and this mode hears of nothing
		modes = append(modes, struct {
			name string
			mode mode
		}{"no DF past the kernel", device})
	}
	mtu := c.mtu(t, s)
	for _, m := range modes {
		t.Run("out, "+m.name, func(t *testing.T) {
			(stream{c.Client, s.target, s.addr(sizing, f.like), m.mode, 1500, mtu}).check(t, f)
		})
	}
	t.Run("in, DF", func(t *testing.T) {
		const relay = 1420 // of its tunnel
		(stream{s.target, c.Client, s.client.Of(f.like), df, 1500, relay}).check(t, f)
	})
	t.Run("in, no DF", func(t *testing.T) {
		(stream{s.target, c.Client, s.client.Of(f.like), dontDF, 1500, deviceMTU}).check(t, f)
	})
}

// TestExitMTU: an exit whose tunnel has a larger MTU than its datagrams leave
// room for inside the entry's. They arrive there in fragments.
func TestExitMTU(t *testing.T) {
	const most = 2000
	for _, endpoint := range families() {
		for _, mtu := range []int{1420, 1500} {
			t.Run(fmt.Sprintf("%s endpoints, MTU %d", endpoint.name, mtu), func(t *testing.T) {
				n := newNetwork(t)
				n.Exit.SetMTU(n.inner.tunnel.Config.Name, mtu)
				n.start(t, n.chain(endpoint.like))
				s := &n.inner
				pieces := n.Entry.Capture(t, n.direct.tunnel.Config.Name, netlab.CaptureOptions{Match: isFragment})
				for _, f := range families() {
					t.Run(f.name+", in", func(t *testing.T) {
						pieces.Reset()
						(stream{s.target, n.Client, s.client.Of(f.like), dontDF, most, mtu}).check(t, f)
						// Of each datagram larger than the entry's tunnel has room for.
						if got, want := pieces.Count(), 2*(most-mtu); got < want {
							t.Errorf("%d fragments entered the outer tunnel, want at least %d", got, want)
						}
					})
					t.Run(f.name+", out", func(t *testing.T) {
						(stream{n.Client, s.target, s.addr(sizing, f.like), dontDF, most, mtu}).check(t, f)
					})
				}
			})
		}
	}
}

// isFragment reports whether p is one.
func isFragment(p *netlab.Packet) bool {
	switch {
	case p.EtherType == netlab.EtherIPv4 && len(p.Data) >= 20:
		return binary.BigEndian.Uint16(p.Data[6:])&0x3fff != 0
	case p.EtherType == netlab.EtherIPv6 && len(p.Data) >= 40:
		return p.Data[6] == protoFragment
	}
	return false
}
