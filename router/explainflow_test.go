package router

import (
	"net/netip"
	"testing"
	"time"

	"multihop/packet"
	"multihop/router/internal/naive"
)

// TestExplainFlow: for flows of every kind, what Explain says is what happens to
// such a packet.
func TestExplainFlow(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Hops[0].Peers[0].AllowedIPs = prefixes("192.0.2.0/24", "203.0.113.0/24", "198.51.100.64/26", "10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32")
	l.cfg.Hops[1].Peers = append(l.cfg.Hops[1].Peers, Peer{PublicKey: fixedKey(9).Public(), AllowedIPs: prefixes("198.51.100.128/25")})
	l.cfg.Hops[1].Peers[0].AllowedIPs = prefixes("198.51.100.0/25", "2001:db8:f::/48", "203.0.113.192/26")
	l.cfg.Routes[2].Derived = true
	l.cfg.Hops[0].MTU = 1440
	l.start()
	far, near, far6 := farNet.Addr().Next(), nearNet.Addr().Next(), farNet6.Addr().Next()
	for _, a := range []netip.Addr{far, near, far6} {
		if _, ok := l.exchange(a, 10*time.Second); !ok {
			t.Fatalf("no path to %v", a)
		}
	}
	link := l.r.table.Load().hop("exit").port.Load().link.cur.Load().port
	for _, tt := range []struct {
		name   string
		flow   Flow
		drop   string
		reason string
		hop    string // that it leaves by
		nat    netip.Addr
		link   string
		pieces int
	}{
		{"small", Flow{Dst: far}, "", "", "exit", exitTunnel, "", 0},
		{"TCP", Flow{Dst: far, Proto: 6, Port: 80}, "", "", "exit", exitTunnel, "", 0},
		{"ping", Flow{Dst: far, Proto: 1}, "", "", "exit", exitTunnel, "", 0},
		{"ping over IPv6", Flow{Dst: far6, Proto: 1}, "", "", "exit", exitTunnel6, "", 0},
		{"another protocol", Flow{Dst: far, Proto: 47, Size: 100}, "", "", "exit", exitTunnel, "", 0},
		{"just fits", Flow{Dst: far, Size: 1360, DF: true}, "", "", "exit", exitTunnel, "", 0},
		{"one byte more", Flow{Dst: far, Size: 1361, DF: true}, "too_big", "1361 bytes are more than the 1360 of hop exit, and it must not be fragmented", "exit", exitTunnel, "", 0},
		{"one byte more, in pieces", Flow{Dst: far, Size: 1361}, "", "", "exit", exitTunnel, "", 2},
		{"five pieces", Flow{Dst: far, Size: 6000}, "", "", "exit", exitTunnel, "", 5},
		{"IPv6 is not cut", Flow{Dst: far6, Size: 1400}, "too_big", "1400 bytes are more than the 1360 of hop exit, and it must not be fragmented", "exit", exitTunnel6, "", 0},
		{"a foreign source", Flow{Dst: far, Src: netip.MustParseAddr("192.168.1.1")}, "source", "192.168.1.1 is not the TUN's address", "", netip.Addr{}, "", 0},
		{"a link's port", Flow{Dst: near, SrcPort: link}, "link_port", "a link uses its source port", "entry", entryTunnel, "", 0},
		{"AH", Flow{Dst: far, Proto: 51, Size: 100}, "malformed", "", "", netip.Addr{}, "", 0},
		{"a size that cannot be", Flow{Dst: far, Proto: 6, Size: 30}, "malformed", "such a packet has 40 to 65535 bytes, not 30", "", netip.Addr{}, "", 0},
		{"two families", Flow{Dst: far, Src: entryTunnel6}, "malformed", "fd01::2 and 198.51.100.1 are of different families", "", netip.Addr{}, "", 0},

		{"from the exit", Flow{FromHop: "exit", Src: far}, "", "", "exit", entryTunnel, "", 0},
		{"from the exit, the entry's", Flow{FromHop: "exit", Src: netip.MustParseAddr("203.0.113.200")}, "spoof", "the route to 203.0.113.200 leads through entry", "exit", netip.Addr{}, "", 0},
		{"from the entry, the exit's", Flow{FromHop: "entry", Src: netip.MustParseAddr("198.51.100.65")}, "spoof", "the route to 198.51.100.65 leads through exit", "entry", netip.Addr{}, "", 0},
		{"from the entry, nobody's", Flow{FromHop: "entry", Src: netip.MustParseAddr("192.0.2.200")}, "spoof", "no route leads to 192.0.2.200", "entry", netip.Addr{}, "", 0},
		{"from the entry, outside its AllowedIPs", Flow{FromHop: "entry", Src: far}, "device_in", "no peer of hop entry has 198.51.100.1 in its AllowedIPs", "entry", netip.Addr{}, "", 0},
		{"from the entry, our own", Flow{FromHop: "entry", Src: exitTunnel}, "spoof", "no route leads to 10.2.0.2", "entry", netip.Addr{}, "", 0},
		{"from the entry, loopback", Flow{FromHop: "entry", Src: netip.MustParseAddr("127.0.0.1")}, "spoof", "no packet from a tunnel may come from 127.0.0.1", "entry", netip.Addr{}, "", 0},
		{"from the entry, to the LAN", Flow{FromHop: "entry", Src: near, Dst: netip.MustParseAddr("192.168.1.1")}, "destination", "192.168.1.1 is not the address of hop entry", "entry", netip.Addr{}, "", 0},
		{"from the entry, to the link", Flow{FromHop: "entry", Src: exitAddr, Port: link}, "", "", "entry", netip.Addr{}, "exit", 0},
		{"from the entry, TCP to the link's port", Flow{FromHop: "entry", Src: near, Port: link, Proto: 6}, "", "", "entry", entryTunnel, "", 0},
		{"from nobody", Flow{FromHop: "elsewhere", Src: near}, "malformed", "no hop is named elsewhere", "", netip.Addr{}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := l.r.Explain(tt.flow)
			last := ""
			if n := len(e.Path); n > 0 {
				last = e.Path[n-1].Name
			}
			if e.Drop != tt.drop || tt.reason != "" && e.Reason != tt.reason || last != tt.hop || e.NAT != tt.nat || e.Link != tt.link || max(e.Pieces, 1) != max(tt.pieces, 1) {
				t.Errorf("%+v", e)
			}
			if tt.drop == "malformed" {
				return
			}
			proto := tt.flow.Proto
			if proto == 0 {
				proto = 17
			}
			l.compare(t, &e, proto, tt.flow)
		})
	}
}

// compare sends the packet that an explanation is about.
func (l *lab) compare(t *testing.T, e *Explanation, proto byte, f Flow) {
	t.Helper()
	if proto == 1 && e.Dst.Is6() {
		proto = 58
	}
	b := naive.Build{Src: e.Src, Dst: e.Dst, Proto: proto, SrcPort: f.SrcPort, DstPort: f.Port, DF: f.DF}
	b.Payload = make([]byte, e.Size-len(b.Packet()))
	pkt := b.Packet()
	count := func() (n uint64) {
		s := l.r.Status()
		n = s.Drops[e.Drop]
		for _, h := range s.Hops {
			n += h.Drops[e.Drop]
		}
		return n
	}
	before := count()
	relay, out := l.entry, decapsulated(l.exit, e.Dst)
	if e.From == "exit" {
		relay = l.exit
	}
	carried, in := l.hop("entry").Carried, l.hop("entry").In+l.hop("exit").In
	if e.From != "" {
		relay.Inject(pkt)
	} else {
		l.send(pkt)
	}
	switch {
	case e.Drop != "":
		eventually(t, 5*time.Second, "the drop is counted", func() bool { return count() == before+1 })
	case e.Link != "":
		eventually(t, 5*time.Second, "the link gets it", func() bool { return l.hop("entry").Carried == carried+1 })
	case e.From != "":
		eventually(t, 5*time.Second, "the TUN gets it", func() bool { return l.hop("entry").In+l.hop("exit").In == in+1 })
	default:
		eventually(t, 5*time.Second, "the exit gets it", func() bool {
			return decapsulated(l.exit, e.Dst)-out == uint64(max(e.Pieces, 1))
		})
	}
}

// TestExplainNoPeer: a prefix that no peer has, in a hop of several.
func TestExplainNoPeer(t *testing.T) {
	r := New(nil)
	p := twoPeers(t, r)
	e := r.Explain(Flow{Dst: netip.MustParseAddr("192.0.2.200"), Src: netip.MustParseAddr("192.0.2.1")})
	if e.Drop != "no_peer" || e.Reason != "no peer of hop h has it in its AllowedIPs" {
		t.Errorf("%+v", e)
	}
	push(t, p, 1, netip.MustParseAddr("192.0.2.200"))
	push(t, p, 1, farNet.Addr().Next()) // or Read would wait
	if got := pull(t, p); len(got) != 1 || p.hop.drops[dropNoPeer].Load() != 1 {
		t.Errorf("numbers %v, drops %v", got, p.hop.drops.snapshot())
	}
}

// TestPing: what is sent is an echo request as a naive sender would make it, and
// only its own reply counts.
func TestPing(t *testing.T) {
	for _, to := range addrs("203.0.113.9", "2001:db8:e::9") {
		t.Run(family(to), func(t *testing.T) {
			h := bareHops(1)[0]
			h.port.Store(newPort(h))
			h.port.Load().peers.Store(newPeering(nil, []Peer{{}}))
			p := h.newPing(to)
			h.ping(p)
			h.ping(p)
			bufs, sizes := arrays(4), make([]int, 4)
			n, err := h.port.Load().Read(bufs, sizes, wgOffset)
			must(t, err)
			if n != 2 {
				t.Fatalf("%d packets", n)
			}
			proto := byte(1)
			if to.Is6() {
				proto = 58
			}
			want := naive.Build{Src: h.addr(to), Dst: to, Proto: proto, DstPort: 2, Payload: p.nonce[:]}
			if got := bufs[1][wgOffset : wgOffset+sizes[1]]; string(got) != string(want.Packet()) {
				t.Errorf("sent % x, want % x", got, want.Packet())
			}
			reply := naive.Build{Src: to, Dst: h.addr(to), Proto: proto, DstPort: 2, Payload: p.nonce[:]}
			pkt := reply.Packet()
			l4 := len(pkt) - pingSize
			answered := func(pkt []byte) bool {
				var m packet.Meta
				if m.Parse(pkt) != packet.OK {
					t.Fatal("malformed")
				}
				return h.pings.Load().answered(h, pkt, &m)
			}
			if answered(pkt) {
				t.Error("a request was taken for a reply")
			}
			if pkt[l4] = pingReply; to.Is6() {
				pkt[l4] = pingReply6
			}
			if !p.heardAt(h.r).IsZero() || !answered(pkt) || p.heardAt(h.r).IsZero() {
				t.Error("the reply does not count")
			}
			pkt[len(pkt)-1] ^= 1
			if answered(pkt) {
				t.Error("another program's reply was taken")
			}
			pkt[len(pkt)-1] ^= 1
			h.unping(p)
			if answered(pkt) {
				t.Error("a reply counts after the series ended")
			}
		})
	}
}
