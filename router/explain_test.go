package router

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/packet"
)

// newExplainLab returns a running lab with a route of every kind.
func newExplainLab(t *testing.T) *lab {
	l := newLab(t, nil)
	l.cfg.Hops[2].Down = true
	l.cfg.Hops[2].Addrs = []netip.Addr{siblingTunnel}
	l.cfg.Routes = append(l.cfg.Routes,
		Route{Prefix: netip.MustParsePrefix("198.18.0.0/24"), Hop: "sibling"},
		Route{Prefix: netip.MustParsePrefix("2001:db8:18::/48"), Hop: "legacy"},
		Route{Prefix: netip.MustParsePrefix("198.51.100.128/25")})
	legacy := l.cfg.Hops[1] // the exit's peer by another key, and no IPv6 address
	legacy.Name, legacy.PrivateKey, legacy.Addrs = "legacy", NewPrivateKey(), addrs("10.9.0.2")
	l.cfg.Hops = append(l.cfg.Hops, legacy)
	l.start()
	if _, ok := l.exchange(farNet.Addr().Next(), 10*time.Second); !ok {
		t.Fatal("no path through the exit")
	}
	return l
}

func TestExplain(t *testing.T) {
	l := newExplainLab(t)
	two := []string{"entry", "exit"}
	for _, tt := range []struct {
		name, dst, route string
		path             []string
		src, nat         netip.Addr
		mtu              int
		drop, reason     string
	}{
		{"through both", "198.51.100.7", "198.51.100.0/24", two, entryTunnel, exitTunnel, 1360, "", ""},
		{"through the entry", "203.0.113.7", "203.0.113.0/24", two[:1], entryTunnel, entryTunnel, 1420, "", ""},
		{"IPv6", "2001:db8:f::7", "2001:db8:f::/48", two, entryTunnel6, exitTunnel6, 1360, "", ""},
		{"mapped IPv4", "::ffff:198.51.100.7", "198.51.100.0/24", two, entryTunnel, exitTunnel, 1360, "", ""},
		{"no route", "192.0.2.200", "", nil, entryTunnel, netip.Addr{}, 0, "no_route", "no route covers it: rejected"},
		{"rejected", "198.51.100.200", "198.51.100.128/25", nil, entryTunnel, netip.Addr{}, 0, "rejected", "its route rejects"},
		{"down", "198.18.0.1", "198.18.0.0/24", []string{"entry", "sibling"}, entryTunnel, siblingTunnel, 1360, "down", "hop sibling is down (taken down): rejected"},
		{"family", "2001:db8:18::1", "2001:db8:18::/48", []string{"entry", "legacy"}, entryTunnel6, netip.Addr{}, 1360, "family", "hop legacy has no address of its family: rejected"},
		{"multicast", "224.0.0.251", "", nil, entryTunnel, netip.Addr{}, 0, "multicast", "multicast and broadcast are not routed"},
		{"IPv6 multicast", "ff02::fb", "", nil, entryTunnel6, netip.Addr{}, 0, "multicast", "multicast and broadcast are not routed"},
		{"broadcast", "255.255.255.255", "", nil, entryTunnel, netip.Addr{}, 0, "multicast", "multicast and broadcast are not routed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := netip.MustParseAddr(tt.dst)
			e := l.r.Explain(Flow{Dst: dst})
			var path []string
			for _, h := range e.Path {
				path = append(path, h.Name)
			}
			var route netip.Prefix
			if tt.route != "" {
				route = netip.MustParsePrefix(tt.route)
			}
			if e.Dst != dst.Unmap() || e.Route != route || !slices.Equal(path, tt.path) || e.Src != tt.src ||
				e.NAT != tt.nat || e.MTU != tt.mtu || e.Drop != tt.drop || e.Reason != tt.reason {
				t.Errorf("%+v", e)
			}
			if dst.Is4In6() {
				return // on the wire it is IPv6
			}
			fate(t, l, dst, tt.src, tt.drop, tt.nat)
		})
	}
	t.Run("no address", func(t *testing.T) {
		if e := l.r.Explain(Flow{}); e.Drop != "malformed" || e.Reason == "" {
			t.Errorf("%+v", e)
		}
	})
}

// fate sends a real packet and checks that it gets what Explain says: it arrives
// from address nat, or it is dropped under that name.
func fate(t *testing.T, l *lab, dst, src netip.Addr, drop string, nat netip.Addr) {
	t.Helper()
	if drop == "" {
		if got, ok := l.exchange(dst, 10*time.Second); !ok || got != nat {
			t.Errorf("it arrived: %v, from %v, want %v", ok, got, nat)
		}
		return
	}
	counted := func() (n uint64) {
		s := l.r.Status()
		n = s.Drops[drop]
		for _, h := range s.Hops {
			n += h.Drops[drop]
		}
		return n
	}
	before := counted()
	l.send(udp(netip.AddrPortFrom(src, 4000), netip.AddrPortFrom(dst, 7), []byte("to "+dst.String())))
	eventually(t, 5*time.Second, "the drop is counted as "+drop, func() bool { return counted() == before+1 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if from, ok := l.seen["to "+dst.String()]; ok {
		t.Errorf("it arrived all the same, from %v", from)
	}
	if rejects := drop != "multicast"; rejects {
		pkt := l.recv(5 * time.Second)
		var m packet.Meta
		if pkt == nil || m.Parse(pkt) != packet.OK || !packet.IsICMPError(pkt, &m) || m.Src != dst {
			t.Errorf("the sender was not told: %x", pkt)
		}
	}
}

// TestExplainState: endpoints and handshakes of each layer appear.
func TestExplainState(t *testing.T) {
	start := time.Now()
	l := newExplainLab(t)
	var e Explanation
	eventually(t, 10*time.Second, "both handshakes are polled", func() bool {
		e = l.r.Explain(Flow{Dst: farNet.Addr().Next()})
		return !e.Path[0].LatestHandshake.IsZero() && !e.Path[1].LatestHandshake.IsZero()
	})
	for i, want := range []string{l.entry.Endpoint().String(), l.exit.Endpoint().String()} {
		h := e.Path[i]
		if h.Endpoint != want || h.Down || h.Reason != "" {
			t.Errorf("%+v, want endpoint %s", h, want)
		}
		if h.LatestHandshake.Before(start.Add(-time.Second)) || h.LatestHandshake.After(time.Now().Add(time.Second)) {
			t.Errorf("handshake at %v", h.LatestHandshake)
		}
	}
	e = l.r.Explain(Flow{Dst: netip.MustParseAddr("198.18.0.1")})
	if h := e.Path[1]; !h.Down || h.Reason != "taken down" || !h.LatestHandshake.IsZero() || h.Endpoint != l.sibling.Endpoint().String() {
		t.Errorf("%+v", h)
	}
}

func TestStatus(t *testing.T) {
	l := newExplainLab(t)
	eventually(t, 10*time.Second, "the counters of wireguard-go are polled", func() bool {
		return l.hop("exit").Peers[0].TxBytes > 0 && !l.hop("exit").Peers[0].LatestHandshake.IsZero()
	})
	s := l.r.Status()
	var names []string
	for _, h := range s.Hops {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "entry exit sibling legacy" {
		t.Errorf("hops %s", got)
	}
	if s.TUN != "lab" || !slices.Equal(s.Addrs, []netip.Addr{entryTunnel, entryTunnel6}) || s.MTU != 1420 || s.Read == 0 || s.Wrote == 0 {
		t.Errorf("%+v", s)
	}
	exit, peer := s.Hops[1], s.Hops[1].Peers[0]
	if exit.Via != "entry" || exit.Down || exit.MTU != 1360 || exit.Out == 0 || exit.In == 0 || len(exit.Drops) != 0 ||
		exit.ListenPort < firstLinkPort || exit.ListenPort > lastLinkPort ||
		exit.PublicKey != l.cfg.Hops[1].PrivateKey.Public().Encode() || !slices.Equal(exit.Addrs, l.cfg.Hops[1].Addrs) {
		t.Errorf("%+v", exit)
	}
	if peer.PublicKey != Key(l.exit.PublicKey()).Encode() || !peer.Preshared || peer.Endpoint != l.exit.Endpoint().String() ||
		peer.RxBytes == 0 || !slices.Equal(peer.AllowedIPs, everything) {
		t.Errorf("%+v", peer)
	}
	if h := s.Hops[2]; !h.Down || h.Reason != "taken down" || h.Peers[0].TxBytes != 0 {
		t.Errorf("%+v", h)
	}
}

// TestStatusJSON: both answers marshal, come back equal, and hold no secret.
func TestStatusJSON(t *testing.T) {
	l := newExplainLab(t)
	eventually(t, 10*time.Second, "a handshake is polled", func() bool { return !l.hop("exit").Peers[0].LatestHandshake.IsZero() })
	var secrets []Key
	for _, h := range l.cfg.Hops {
		secrets = append(secrets, h.PrivateKey, h.Peers[0].PresharedKey)
	}
	status, err := json.Marshal(l.r.Status())
	must(t, err)
	explained, err := json.Marshal(l.r.Explain(Flow{Dst: farNet.Addr().Next()}))
	must(t, err)
	for _, b := range [][]byte{status, explained} {
		for i, k := range secrets {
			for _, form := range []string{k.Encode(), k.hex()} {
				if strings.Contains(string(b), form) {
					t.Errorf("secret %d is in %s", i, b)
				}
			}
		}
	}
	if !strings.Contains(string(status), l.cfg.Hops[0].PrivateKey.Public().Encode()) {
		t.Errorf("no public key in %s", status)
	}
	var s Status
	must(t, json.Unmarshal(status, &s))
	if len(s.Hops) != 4 || s.Hops[1].Name != "exit" || s.Hops[1].Peers[0].LatestHandshake.IsZero() {
		t.Errorf("came back as %+v", s)
	}
	var e Explanation
	must(t, json.Unmarshal(explained, &e))
	if e.NAT != exitTunnel || len(e.Path) != 2 || e.Route != farNet {
		t.Errorf("came back as %+v", e)
	}
}
