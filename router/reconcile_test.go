package router

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"multihop/packet"
)

// TestReconcile: what was read is what arrived plus the named drops, in both
// directions, once idle.
func TestReconcile(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far, near, far6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.7"), farNet6.Addr().Next()
	for _, a := range []netip.Addr{far, near, far6} {
		if _, ok := l.exchange(a, 10*time.Second); !ok {
			t.Fatalf("no path to %v", a)
		}
	}
	// Of hosts, not relays, so that links' datagrams do not count twice.
	arrived := func() (n uint64) {
		for _, a := range []netip.Addr{far, near, far6} {
			n += decapsulated(l.entry, a) + decapsulated(l.exit, a)
		}
		return n
	}
	drops := func() (n uint64) {
		s := l.r.Status()
		for _, k := range s.Drops {
			n += k
		}
		for _, h := range s.Hops {
			for _, k := range h.Drops {
				n += k
			}
		}
		return n
	}
	split := func() (n uint64) {
		for _, h := range l.r.Status().Hops {
			n += h.Split
		}
		return n
	}
	rng := rand.New(rand.NewPCG(1, 2))
	port := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 5000) }
	random := func(outbound bool, from, from6 netip.Addr) []byte {
		src, dst := port(from), port([]netip.Addr{far, near, netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("224.0.0.1")}[rng.IntN(4)])
		if rng.IntN(4) == 0 {
			src, dst = port(from6), port(far6)
		}
		if rng.IntN(8) == 0 && dst.Addr().Is4() {
			src = port(netip.MustParseAddr("192.168.3.3"))
		}
		if !outbound {
			src, dst = dst, src
		}
		b := udp(src, dst, make([]byte, rng.IntN(1500)))
		switch rng.IntN(8) {
		case 0:
			b[rng.IntN(len(b))] ^= byte(1 + rng.IntN(255))
		case 1:
			b = b[:20+rng.IntN(len(b)-20)]
		}
		return b
	}

	t.Run("outbound", func(t *testing.T) {
		read, got, lost := l.r.Status().Read, arrived(), drops()
		for range 200 {
			var batch [][]byte
			for range 32 {
				b := random(true, entryTunnel, entryTunnel6)
				var m packet.Meta // a flipped bit may make another legitimate destination
				if m.Parse(b) == packet.OK && m.Dst != far && m.Dst != near && m.Dst != far6 && (farNet.Contains(m.Dst) || nearNet.Contains(m.Dst) || farNet6.Contains(m.Dst)) {
					continue
				}
				batch = append(batch, b)
			}
			l.send(batch...)
			time.Sleep(3 * time.Millisecond) // or the relays' own queues lose some
		}
		eventually(t, 10*time.Second, "read = arrived + drops", func() bool {
			return l.r.Status().Read-read+split() == arrived()-got+drops()-lost
		})
		time.Sleep(200 * time.Millisecond)
		s := l.r.Status()
		if r, a, d := s.Read-read+split(), arrived()-got, drops()-lost; r != a+d || a == 0 || d == 0 {
			t.Fatalf("read %d, arrived %d, dropped %d: %+v", r, a, d, s)
		}
	})
	t.Run("inbound", func(t *testing.T) {
		type seam struct{ decrypted, in, carried, drops uint64 }
		look := func() map[string]seam {
			m := make(map[string]seam)
			for _, h := range l.r.table.Load().order {
				x := seam{h.decrypted.Load(), h.in.Load(), h.carried.Load(), 0}
				for why, n := range h.status().Drops {
					if why != "device_in" && why != "device_out" {
						x.drops += n
					}
				}
				m[h.name] = x
			}
			return m
		}
		before, wrote := look(), l.r.Status().Wrote
		for range 100 {
			for range 16 {
				l.entry.Inject(random(false, entryTunnel, entryTunnel6))
				l.exit.Inject(random(false, exitTunnel, exitTunnel6))
			}
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
		in := uint64(0)
		for name, x := range look() {
			y := before[name]
			if got, want := x.in-y.in+x.carried-y.carried+x.drops-y.drops, x.decrypted-y.decrypted; got != want {
				t.Errorf("hop %s: decrypted %d, accounted for %d", name, want, got)
			}
			if name != "sibling" && (x.in == y.in || x.drops == y.drops) {
				t.Errorf("hop %s: the test shows nothing: %+v", name, x)
			}
			in += x.in - y.in
		}
		if got := l.r.Status().Wrote - wrote; got != in {
			t.Errorf("wrote %d packets to the TUN, hops say %d", got, in)
		}
	})
}
