package host

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// An Uplink watches what the host puts onto the wire of its uplink. It is safe
// for concurrent use.
type Uplink struct {
	capture *netlab.Capture
	o       UplinkOptions
	flows   []*Flow

	mu     sync.Mutex
	since  time.Time
	tunnel moment           // datagrams to the endpoints
	leaks  map[string]*leak // by kind
}

// UplinkOptions say what besides tunnel datagrams, and what every kernel says
// to its neighbours, may leave.
type UplinkOptions struct {
	Endpoints []netip.AddrPort // of the tunnels; nil: the entry's, of both families
	LAN       bool             // packets to private addresses of the LAN, but no DNS
	Names     []string         // that may be asked of the LAN's resolver
	Excluded  []netip.Prefix   // destinations outside the tunnel
}

// A moment is when something was seen, since the last Mark.
type moment struct {
	count       int
	first, last time.Duration
}

func (m *moment) see(at time.Duration) {
	if m.count == 0 {
		m.first = at
	}
	m.last = at
	m.count++
}

// A leak is the packets of one kind.
type leak struct {
	moment
	example string // the first
}

// WatchUplink watches until the test ends. Packets of flows get their names;
// others are reported as they are.
func (n *Network) WatchUplink(tb testing.TB, flows []*Flow, o UplinkOptions) *Uplink {
	tb.Helper()
	if o.Endpoints == nil {
		o.Endpoints = []netip.AddrPort{EntryEndpoint(EntryAddr().V4), EntryEndpoint(EntryAddr().V6)}
	}
	u := &Uplink{o: o, flows: flows, since: time.Now(), leaks: make(map[string]*leak)}
	// At the switch: what comes in there has left the host, whatever becomes of
	// the host's own interface.
	u.capture = n.lan.Capture(tb, "port0", netlab.CaptureOptions{Match: func(p *netlab.Packet) bool {
		if p.Outgoing {
			return false // to the host
		}
		return u.see(p)
	}})
	return u
}

// see reports whether p is a leak.
func (u *Uplink) see(p *netlab.Packet) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := time.Since(u.since)
	if u.isTunnel(p) {
		u.tunnel.see(at)
		return false
	}
	if u.allowed(p) {
		return false
	}
	kind := u.kind(p)
	l := u.leaks[kind]
	if l == nil {
		l = &leak{example: p.String()}
		u.leaks[kind] = l
	}
	l.see(at)
	return true
}

// isTunnel reports whether p is a datagram of WireGuard's to an endpoint.
func (u *Uplink) isTunnel(p *netlab.Packet) bool {
	return p.Proto == netlab.ProtoUDP && slices.Contains(u.o.Endpoints, p.Dst) && len(p.Payload) >= 32 &&
		p.Payload[0] >= 1 && p.Payload[0] <= 4 && bytes.Equal(p.Payload[1:4], []byte{0, 0, 0})
}

// LAN is the prefixes of the uplink's network that are private.
func LAN() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd07::/64")}
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (u *Uplink) allowed(p *netlab.Packet) bool {
	src, dst := p.Src.Addr(), p.Dst.Addr()
	switch {
	case p.EtherType == netlab.EtherARP:
		_, target := arp(p)
		return LAN()[0].Contains(target)
	case p.Neighbourly():
		return p.ICMPType != 135 || onLink(p) // whom it looks for
	case p.Proto == netlab.ProtoUDP && (p.Dst.Port() == 67 && p.Src.Port() == 68 || p.Dst.Port() == 547 && p.Src.Port() == 546):
		return true // DHCP
	case p.Dst.Port() == DNSPort:
		return slices.Contains(RouterAddr().Both(), dst) && slices.ContainsFunc(u.o.Names, func(name string) bool {
			return bytes.Contains(p.Payload, wireName(name))
		})
	case within(u.o.Excluded, dst):
		return true
	}
	return u.o.LAN && within(LAN(), dst) && within(LAN(), src)
}

// arp returns who says it and whom he asks for, or tells.
func arp(p *netlab.Packet) (sender, target netip.Addr) {
	if len(p.Data) < 28 {
		return sender, target
	}
	return netip.AddrFrom4([4]byte(p.Data[14:])), netip.AddrFrom4([4]byte(p.Data[24:]))
}

// onLink reports whether a neighbour solicitation is about the LAN.
func onLink(p *netlab.Packet) bool {
	if len(p.Payload) < 24 {
		return false
	}
	target := netip.AddrFrom16([16]byte(p.Payload[8:]))
	return LAN()[1].Contains(target) || netip.MustParsePrefix("2001:db8:7::/64").Contains(target) || target.IsLinkLocalUnicast()
}

// wireName is a name as messages have it (RFC 1035, 3.1).
func wireName(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// kind is the name of the flow that p belongs to, or says what it is.
func (u *Uplink) kind(p *netlab.Packet) string {
	for _, f := range u.flows {
		if f.To == p.Dst && f.proto() == p.Proto {
			return f.Name
		}
	}
	switch {
	case p.EtherType == netlab.EtherARP:
		sender, target := arp(p)
		return fmt.Sprintf("ARP of %v about %v", sender, target)
	case p.ICMPError():
		return fmt.Sprintf("ICMP error to %v", p.Dst.Addr())
	}
	return fmt.Sprintf("protocol %d from %v to %v", p.Proto, p.Src.Addr(), p.Dst)
}

// proto is the flow's protocol number.
func (f *Flow) proto() uint8 {
	switch f.Proto {
	case TCP, DNSTCP:
		return netlab.ProtoTCP
	case ICMP:
		if f.To.Addr().Is6() {
			return netlab.ProtoICMPv6
		}
		return netlab.ProtoICMP
	}
	return netlab.ProtoUDP
}

// Mark forgets what was seen: a phase begins.
func (u *Uplink) Mark(tb testing.TB) {
	tb.Helper()
	u.capture.Reset()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since, u.tunnel = time.Now(), moment{}
	clear(u.leaks)
}

// Tunnel is how many tunnel datagrams were seen since Mark, and when the first
// one was.
func (u *Uplink) Tunnel() (count int, first time.Duration) {
	u.capture.Count() // settles
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.tunnel.count, u.tunnel.first
}

// Leaked is the kinds that left in clear since Mark, sorted.
func (u *Uplink) Leaked() []string {
	u.capture.Count() // settles
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.kinds(-1)
}

// kinds is those of which a packet was seen after a moment.
func (u *Uplink) kinds(after time.Duration) []string {
	var names []string
	for name, l := range u.leaks {
		if l.last > after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// None fails the test if anything left in clear since Mark, and says what left
// when in the phase.
func (u *Uplink) None(tb testing.TB, phase string) {
	tb.Helper()
	u.NoneAfter(tb, phase, -1)
}

// NoneAfter is None from a moment of the phase on.
func (u *Uplink) NoneAfter(tb testing.TB, phase string, moment time.Duration) {
	tb.Helper()
	u.capture.Count() // settles
	u.mu.Lock()
	defer u.mu.Unlock()
	names := u.kinds(moment)
	if len(names) == 0 {
		return
	}
	var b strings.Builder
	for _, name := range names {
		l := u.leaks[name]
		fmt.Fprintf(&b, "\n\t%s: %d packets, from %v to %v into the phase, first:\n\t\t%s",
			name, l.count, l.first.Round(time.Millisecond), l.last.Round(time.Millisecond), l.example)
	}
	tb.Errorf("%s: %d kinds of packets left in clear:%s", phase, len(names), b.String())
}

// Every fails the test unless packets of all flows left in clear since Mark:
// the proof that the watch sees them.
func (u *Uplink) Every(tb testing.TB, flows []*Flow, when string) {
	tb.Helper()
	seen := u.Leaked()
	for _, f := range flows {
		if !slices.Contains(seen, f.Name) {
			tb.Errorf("%s: %s was not seen on the uplink", when, f.Name)
		}
	}
}
