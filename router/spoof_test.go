package router

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/memnet"
	"multihop/packet"
)

func echoReply(src, dst netip.Addr) []byte {
	b := make([]byte, 28)
	b[0], b[8], b[9] = 0x45, 64, packet.ProtoICMP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:20], 0)))
	binary.BigEndian.PutUint16(b[22:], ^packet.Fold(packet.Sum(b[20:], 0)))
	return b
}

// icmpError returns a port-unreachable from router that quotes a datagram.
func icmpError(router netip.Addr, quotedSrc, quotedDst netip.AddrPort) []byte {
	quoted := udp(quotedSrc, quotedDst, []byte("data"))
	b := make([]byte, 28+len(quoted))
	copy(b, echoReply(router, quotedSrc.Addr()))
	b[20], b[21] = 3, 3
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[10], b[11], b[22], b[23] = 0, 0, 0, 0
	copy(b[28:], quoted)
	binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:20], 0)))
	binary.BigEndian.PutUint16(b[22:], ^packet.Fold(packet.Sum(b[20:], 0)))
	return b
}

// TestForged: each relay sends what it must not. Nothing reaches the TUN, and
// each packet is counted by name. The detector for each: the same packet, made
// legitimate, does arrive.
func TestForged(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: netip.MustParsePrefix("198.18.0.0/24"), Hop: "sibling"},
		Route{Prefix: netip.MustParsePrefix("198.18.1.0/24")})
	l.start()
	far, near, sib := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.18.0.7")
	far6 := farNet6.Addr().Next()
	for _, a := range []netip.Addr{far, near} {
		if _, ok := l.exchange(a, 10*time.Second); !ok {
			t.Fatalf("no path to %v", a)
		}
	}
	l.send(udp(netip.AddrPortFrom(entryTunnel, 1), netip.AddrPortFrom(sib, 1), nil)) // a session with the sibling
	eventually(t, 10*time.Second, "sibling's session", func() bool {
		return !l.hop("sibling").Peers[0].LatestHandshake.IsZero()
	})
	port := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 53) }
	lan := netip.MustParseAddr("192.168.1.1")
	link := l.hop("exit").ListenPort
	relays := map[string]*memnet.Relay{"entry": l.entry, "exit": l.exit, "sibling": l.sibling}

	for _, tt := range []struct {
		name string
		hop  string
		pkt  []byte
		drop string // "": delivered
	}{
		{"detector: entry as itself", "entry", udp(port(near), port(entryTunnel), []byte("ok")), ""},
		{"detector: exit as itself", "exit", udp(port(far), port(exitTunnel), []byte("ok")), ""},
		{"detector: sibling as itself", "sibling", udp(port(sib), port(siblingTunnel), []byte("ok")), ""},
		{"detector: exit as itself, IPv6", "exit", udp(port(far6), port(exitTunnel6), []byte("ok")), ""},
		{"detector: ICMP", "entry", echoReply(near, entryTunnel), ""},

		{"entry as a host behind the exit", "entry", udp(port(far), port(entryTunnel), []byte("bad")), "spoof"},
		{"entry as such a host, ICMP", "entry", echoReply(far, entryTunnel), "spoof"},
		{"entry as such a host, IPv6", "entry", udp(port(far6), port(entryTunnel6), []byte("bad")), "spoof"},
		{"exit as a host behind the entry", "exit", udp(port(near), port(exitTunnel), []byte("bad")), "spoof"},
		{"sibling as a host behind the exit", "sibling", udp(port(far), port(siblingTunnel), []byte("bad")), "spoof"},
		{"exit as a host behind its sibling", "exit", udp(port(sib), port(exitTunnel), []byte("bad")), "spoof"},
		{"source that no route has", "exit", udp(port(lan), port(exitTunnel), []byte("bad")), "spoof"},
		{"source that a route rejects", "exit", udp(port(netip.MustParseAddr("198.18.1.1")), port(exitTunnel), []byte("bad")), "spoof"},
		{"source loopback", "entry", udp(port(netip.MustParseAddr("127.0.0.1")), port(entryTunnel), []byte("bad")), "spoof"},
		{"source zero", "entry", udp(port(netip.MustParseAddr("0.0.0.0")), port(entryTunnel), []byte("bad")), "spoof"},
		{"source multicast", "entry", udp(port(netip.MustParseAddr("224.0.0.1")), port(entryTunnel), []byte("bad")), "spoof"},
		{"source our own", "entry", udp(port(entryTunnel), port(entryTunnel), []byte("bad")), "spoof"},
		{"source of another hop's tunnel", "entry", udp(port(exitTunnel), port(entryTunnel), []byte("bad")), "spoof"},
		{"source ::1", "exit", udp(port(netip.MustParseAddr("::1")), port(exitTunnel6), []byte("bad")), "spoof"},

		{"destination: the TUN's address through the exit", "exit", udp(port(far), port(entryTunnel), []byte("bad")), "destination"},
		{"destination: another hop's", "entry", udp(port(near), port(exitTunnel), []byte("bad")), "destination"},
		{"destination: the LAN", "entry", udp(port(near), port(lan), []byte("bad")), "destination"},
		{"destination: multicast", "entry", udp(port(near), port(netip.MustParseAddr("224.0.0.251")), []byte("bad")), "destination"},
		{"destination: loopback", "exit", udp(port(far), port(netip.MustParseAddr("127.0.0.1")), []byte("bad")), "destination"},
		{"destination: broadcast", "exit", udp(port(far), port(netip.MustParseAddr("255.255.255.255")), []byte("bad")), "destination"},
		{"destination: the client's address outside", "exit", udp(port(far), port(clientAddr), []byte("bad")), "destination"},

		{"detector: ICMP error about our datagram", "exit",
			icmpError(netip.MustParseAddr("172.16.0.1"), netip.AddrPortFrom(exitTunnel, 4000), port(far)), ""},
		{"ICMP error about what went elsewhere", "exit",
			icmpError(netip.MustParseAddr("172.16.0.1"), netip.AddrPortFrom(exitTunnel, 4000), port(near)), "spoof"},
		{"ICMP error that quotes a stranger", "exit", func() []byte {
			b := icmpError(netip.MustParseAddr("172.16.0.1"), netip.AddrPortFrom(lan, 4000), port(far))
			d := exitTunnel.As4()
			copy(b[16:], d[:])
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b[:20], 0)))
			return b
		}(), "quote"},
		{"ICMP error about a link's datagram", "entry",
			icmpError(netip.MustParseAddr("172.16.0.1"), netip.AddrPortFrom(entryTunnel, link), netip.AddrPortFrom(exitAddr, 51820)), "link_icmp"},

		{"malformed: length beyond the packet", "exit", func() []byte {
			b := udp(port(far), port(exitTunnel), []byte("bad"))
			b[0] = 0x4f
			return b
		}(), "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for l.recv(10*time.Millisecond) != nil {
			}
			before := l.hop(tt.hop).Drops[tt.drop]
			if relays[tt.hop].Inject(tt.pkt) != 1 {
				t.Fatal("the relay did not take the packet")
			}
			if tt.drop == "" {
				if l.recv(5*time.Second) == nil {
					t.Fatalf("not delivered; drops %v", l.hop(tt.hop).Drops)
				}
				return
			}
			eventually(t, 5*time.Second, "counted as "+tt.drop, func() bool {
				return l.hop(tt.hop).Drops[tt.drop] == before+1
			})
			if got := l.recv(50 * time.Millisecond); got != nil {
				t.Fatalf("delivered: % x", got)
			}
		})
	}
}

// TestForgedLink: only WireGuard itself speaks on a link's port. Garbage there
// gets no answer, and does not disturb the session.
func TestForgedLink(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := netip.MustParseAddr("198.51.100.7")
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	link := netip.AddrPortFrom(entryTunnel, l.hop("exit").ListenPort)
	forger := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.66"), 51820)
	for i := range 64 {
		payload := make([]byte, 32+i)
		payload[0] = byte(1 + i%4)
		l.entry.Inject(udp(forger, link, payload), udp(netip.AddrPortFrom(exitAddr, 51820), link, payload))
	}
	time.Sleep(200 * time.Millisecond)
	if n := decapsulated(l.entry, forger.Addr()); n != 0 {
		t.Fatalf("the forger got %d answers", n)
	}
	if src, ok := l.exchange(far, 5*time.Second); !ok || src != exitTunnel {
		t.Fatalf("after garbage the host saw %v (%v)", src, ok)
	}
}

// TestOutboundSources: what is not the TUN's own never leaves untranslated.
func TestOutboundSources(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := netip.MustParseAddr("198.51.100.7")
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	port := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 53) }
	link := l.hop("exit").ListenPort
	total := func(name string) (n uint64) {
		s := l.r.Status()
		n = s.Drops[name]
		for _, h := range s.Hops {
			n += h.Drops[name]
		}
		return n
	}
	for _, tt := range []struct {
		name string
		pkt  []byte
		drop string
	}{
		{"a foreign source", udp(port("192.168.7.7"), netip.AddrPortFrom(far, 53), []byte("x")), "source"},
		{"another hop's address", udp(netip.AddrPortFrom(exitTunnel, 53), netip.AddrPortFrom(far, 53), []byte("x")), "source"},
		{"multicast", udp(netip.AddrPortFrom(entryTunnel, 53), port("224.0.0.251"), []byte("x")), "multicast"},
		{"broadcast", udp(netip.AddrPortFrom(entryTunnel, 53), port("255.255.255.255"), []byte("x")), "multicast"},
		{"no route", udp(netip.AddrPortFrom(entryTunnel, 53), port("192.0.2.99"), []byte("x")), "no_route"},
		{"the link's port", udp(netip.AddrPortFrom(entryTunnel, link), port("203.0.113.7"), []byte("x")), "link_port"},
		{"too big", udp(netip.AddrPortFrom(entryTunnel, 53), netip.AddrPortFrom(far, 53), make([]byte, 1400)), "too_big"},
		{"malformed", []byte{0x45, 0, 0, 99}, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := total(tt.drop)
			l.send(tt.pkt)
			eventually(t, 2*time.Second, "counted as "+tt.drop, func() bool { return total(tt.drop) == before+1 })
		})
	}
}
