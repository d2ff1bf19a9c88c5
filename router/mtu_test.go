package router

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"multihop/internal/memnet"
	"multihop/packet"
)

func TestOverhead(t *testing.T) {
	for _, tt := range []struct {
		name      string
		endpoints []string
		want      int
	}{
		{"IPv4", []string{"192.0.2.1:1"}, 60},
		{"IPv6", []string{"[2001:db8::1]:1"}, 80},
		{"mapped IPv4", []string{"[::ffff:192.0.2.1]:1"}, 60},
		{"name", []string{"vpn.example:1"}, 80},
		{"learned", []string{""}, 80},
		{"two of IPv4", []string{"192.0.2.1:1", "192.0.2.2:1"}, 60},
		{"one of each", []string{"[2001:db8::1]:1", "192.0.2.2:1"}, 80},
		{"one learned", []string{"192.0.2.1:1", ""}, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var peers []Peer
			for _, e := range tt.endpoints {
				peers = append(peers, Peer{Endpoint: e})
			}
			if got := overhead(peers); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestDerivedMTU(t *testing.T) {
	const v4, v6, name = "192.0.2.20:51820", "[2001:db8::20]:51820", "vpn.example:51820"
	for _, tt := range []struct {
		name        string
		entry, exit int
		endpoint    string
		want        int    // the exit's MTU
		err         string // or why not
	}{
		{"derived, IPv4", 0, 0, v4, 1360, ""},
		{"derived, IPv6", 0, 0, v6, 1340, ""},
		{"derived, name", 0, 0, name, 1340, ""},
		{"the file's", 0, 1300, v4, 1300, ""},
		{"the file's, exactly", 0, 1360, v4, 1360, ""},
		{"lowered", 0, 1361, v4, 1360, ""},
		{"lowered, IPv6", 0, 1341, v6, 1340, ""},
		{"the carrier's file", 1440, 0, v4, 1380, ""},
		{"jumbo", 9000, 0, v4, 8940, ""},
		{"the smallest of a file", 0, 68, v4, 68, ""},
		{"a handshake fits in fragments alone", 128, 0, v4, 68, ""},
		{"a handshake fits in fragments alone, IPv6", 148, 0, v6, 68, ""},
		{"nothing fits", 127, 0, v4, 0, "hop exit: MTU: too small to carry a packet: 127 of its carrier entry less 60 leaves 67, and 68 are needed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			cfg.Hops[0].MTU, cfg.Hops[1].MTU = tt.entry, tt.exit
			cfg.Hops[1].Peers[0].Endpoint = tt.endpoint
			p, err := Compile(cfg)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			must(t, err)
			if got := p.Hops[1].MTU; got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
			if p.MTU != p.Hops[0].MTU {
				t.Errorf("the TUN's is %d, not the largest, %d", p.MTU, p.Hops[0].MTU)
			}
		})
	}
}

// TestDeepest: on a link of 1500 bytes, with MTU = 1440 in the root's file, 23
// layers are possible, and the deepest has 120 bytes; on one of 1540, 24.
func TestDeepest(t *testing.T) {
	deep := func(layers, mtu int) Config {
		var cfg Config
		for i := 1; i <= layers; i++ {
			h := chain().Hops[0]
			h.Name, h.PrivateKey = fmt.Sprintf("h%d", i), fixedKey(byte(i))
			if i == 1 {
				h.MTU = mtu
			} else {
				h.Via = fmt.Sprintf("h%d", i-1)
			}
			cfg.Hops = append(cfg.Hops, h)
		}
		slices.Reverse(cfg.Hops)
		return cfg
	}
	p, err := Compile(deep(23, 1440))
	must(t, err)
	for i, h := range p.Hops {
		if want := 1440 - 60*i; h.MTU != want {
			t.Errorf("layer %d: %d, want %d", i+1, h.MTU, want)
		}
	}
	if got := p.Hops[22].MTU; got != 120 {
		t.Errorf("layer 23 has %d", got)
	}
	_, err = Compile(deep(24, 1440))
	if want := "hop h24: MTU: too small to carry a packet: 120 of its carrier h23 less 60 leaves 60, and 68 are needed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	p, err = Compile(deep(24, 1480))
	must(t, err)
	if got := p.Hops[23].MTU; got != 100 {
		t.Errorf("layer 24 has %d", got)
	}
}

// sizes collects those of data packets that pass a tap.
type sizes struct {
	mu   sync.Mutex
	list []int
}

// tap returns a function for memnet.Host.Tap: it collects the sizes of the IP
// packets to dst that carry WireGuard data.
func (s *sizes) tap(dst netip.Addr) func(bool, []byte) {
	return func(_ bool, pkt []byte) {
		var m packet.Meta
		if m.Parse(pkt) != packet.OK || m.Dst != dst {
			return
		}
		if payload, ok := packet.UDPPayload(pkt, &m); ok && isData(payload) {
			s.mu.Lock()
			s.list = append(s.list, len(pkt))
			s.mu.Unlock()
		}
	}
}

func (s *sizes) take() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// TestMTUExact: a packet that fills a hop becomes a datagram that fills its
// carrier, exactly, and no smaller one becomes larger.
func TestMTUExact(t *testing.T) {
	exit6 := netip.MustParseAddr("2001:db8:20::20")
	far := netip.MustParsePrefix("198.18.0.0/24")
	for _, tt := range []struct {
		name     string
		entryMTU int
		relay    netip.Addr
		hopMTU   int
	}{
		{"MTU a multiple of 16", 1420, netip.MustParseAddr("192.0.2.40"), 1360},
		{"MTU between, so that the padding is capped", 1410, netip.MustParseAddr("192.0.2.40"), 1350},
		{"IPv6 endpoint", 1420, exit6, 1340},
		{"small", 1000, exit6, 920},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			relay, err := l.net.NewRelay("measured", []netip.Addr{tt.relay}, nil)
			must(t, err)
			must(t, relay.Start())
			t.Cleanup(relay.Stop)
			own, key := netip.MustParseAddr("10.4.0.2"), NewPrivateKey()
			must(t, relay.Add(memnet.Client{PublicKey: key.Public(), Addrs: []netip.Addr{own}}))
			l.cfg.Hops[0].MTU = tt.entryMTU
			l.cfg.Hops = append(l.cfg.Hops[:1], Hop{Name: "measured", Via: "entry", PrivateKey: key, Addrs: []netip.Addr{own},
				Peers: []Peer{{PublicKey: relay.PublicKey(), Endpoint: relay.Endpoint().String(), AllowedIPs: everything}}})
			l.cfg.Routes = []Route{{Prefix: far, Hop: "measured"}}
			var inner, outer sizes
			relay.Outside().Tap(inner.tap(tt.relay))
			l.entry.Outside().Tap(outer.tap(entryAddr))
			l.start()
			eventually(t, 5*time.Second, "the router runs", func() bool { return l.r.table.Load().hop("measured") != nil })
			if got := l.hop("measured").MTU; got != tt.hopMTU {
				t.Fatalf("MTU %d, want %d", got, tt.hopMTU)
			}

			sized := func(n int) []byte {
				return udp(netip.AddrPortFrom(l.tunAddr(far.Addr()), 4000), netip.AddrPortFrom(far.Addr().Next(), 9), make([]byte, n-28))
			}
			for n := tt.hopMTU; n >= tt.hopMTU-16; n-- {
				l.send(sized(n))
				var in, out []int
				eventually(t, 10*time.Second, fmt.Sprintf("a packet of %d bytes arrives", n), func() bool {
					in, out = append(in, inner.take()...), append(out, outer.take()...)
					return len(in) > 0 && len(out) > 0 && slices.Max(out) > n // before it: the handshake, as the carrier's data
				})
				inside, outside := slices.Max(in), slices.Max(out)
				if n == tt.hopMTU && (inside != tt.entryMTU || outside != tt.entryMTU+60) {
					t.Errorf("%d bytes became %d inside the carrier and %d outside, want %d and %d", n, inside, outside, tt.entryMTU, tt.entryMTU+60)
				}
				if inside > tt.entryMTU || outside > tt.entryMTU+60 {
					t.Errorf("%d bytes became %d and %d: more than the carrier's MTU, %d", n, inside, outside, tt.entryMTU)
				}
			}

			l.send(sized(tt.hopMTU + 1)) // which is answered
			pkt := l.recv(5 * time.Second)
			var m packet.Meta
			if pkt == nil || m.Parse(pkt) != packet.OK || m.Proto != packet.ProtoICMP || pkt[m.L4] != 3 || pkt[m.L4+1] != 4 {
				t.Fatalf("one byte more was not answered with fragmentation needed: %x", pkt)
			}
			if got := int(binary.BigEndian.Uint16(pkt[m.L4+6:])); got != tt.hopMTU {
				t.Errorf("the answer says %d, want %d", got, tt.hopMTU)
			}
			if got := l.hop("measured").Drops["too_big"]; got != 1 {
				t.Errorf("too_big: %d", got)
			}
		})
	}
}

// TestFragmentMTU: a link that fragments keeps 1280 where its carrier leaves
// less, and no more than the carrier where that leaves more.
func TestFragmentMTU(t *testing.T) {
	for _, tt := range []struct {
		name         string
		root, file   int
		want, pieces int // the hop's MTU; packets of the carrier
	}{
		{"room for all", 1420, 0, 1360, 1},
		{"a larger file's MTU", 1420, 1420, 1360, 1},
		{"just room", 1340, 0, 1280, 1},
		{"one byte less", 1339, 0, 1280, 2},
		{"a larger file's MTU, no room", 1300, 1420, 1280, 2},
		{"a smaller file's MTU", 1300, 1270, 1270, 2},
		{"1280 in 1280", 1280, 0, 1280, 2},
		{"in little", 576, 0, 1280, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := chain()
			cfg.Routes = cfg.Routes[:1]
			cfg.Hops[0].MTU, cfg.Hops[1].MTU, cfg.Hops[1].Fragment = tt.root, tt.file, true
			p, err := Compile(cfg)
			must(t, err)
			if h := p.Hops[1]; h.MTU != tt.want || h.Fragments != tt.pieces {
				t.Fatalf("MTU %d in %d packets, want %d in %d", h.MTU, h.Fragments, tt.want, tt.pieces)
			}
		})
	}
}
