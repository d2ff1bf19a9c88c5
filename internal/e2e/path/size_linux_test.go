package path_test

import (
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
var dbgc *chain
func (s stream) check(t *testing.T, f family) {
	t.Helper()
	to := listen(t, s.to)
	from := dial(t, s.from, netip.AddrPortFrom(s.addr, to.port), s.mode)
	delivered, told, wrong := 0, 0, 0
	for size := 1; size <= s.most; size++ {
		want := fate{delivered: true}
		if n := size + f.header(); n > s.fits && (s.mode == df || s.mode == probe) {
			want = fate{tooBig: s.fits}
		}
		got := cross(from, to, size, 3*time.Second)
		switch {
		case got != want:
			t.Errorf("%d bytes of payload: %v, want %v", size, got, want)
 if dbgc!=nil && got==(fate{}) {dbg(t,dbgc)}
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
	t.Logf("%d delivered, %d signalled", delivered, told)
}

// sizes: datagrams of each size up to a full Ethernet packet's, with DF and
// without, whoever judges them, are delivered or signalled, both ways.
func sizes(t *testing.T, c *chain, s *side, f family) {
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
	dbgc=c
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
		(stream{s.target, c.Client, s.client.Of(f.like), ordinary, 1500, deviceMTU}).check(t, f)
	})
}

// TestExitMTU: an exit whose tunnel has a larger MTU than its datagrams leave
// room for inside the entry's. They arrive there in fragments.
func TestExitMTU(t *testing.T) {
	for _, endpoint := range families() {
		t.Run(endpoint.name+" endpoints", func(t *testing.T) {
			n := newNetwork(t)
			n.run(t, endpoint.like)
			s := &n.inner
			for _, mtu := range []int{1420, 1500} {
				n.Exit.SetMTU(s.tunnel.Config.Name, mtu)
				for _, f := range families() {
					t.Run(fmt.Sprintf("MTU %d, %s, in", mtu, f.name), func(t *testing.T) {
						(stream{s.target, n.Client, s.client.Of(f.like), ordinary, 2000, mtu}).check(t, f)
					})
					t.Run(fmt.Sprintf("MTU %d, %s, out", mtu, f.name), func(t *testing.T) {
						(stream{n.Client, s.target, s.addr(sizing, f.like), ordinary, 2000, mtu}).check(t, f)
					})
				}
			}
		})
	}
}
