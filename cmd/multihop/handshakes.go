package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multihop/router"
)

const (
	defaultWait   = 30 * time.Second
	handshakePoll = 200 * time.Millisecond
	knockEvery    = 5 * time.Second // WireGuard's own interval between initiations
	discardPort   = 9               // RFC 863
)

// waitHandshakes waits until every peer of every hop has had a handshake, and
// gives them a reason to: WireGuard makes none before there is a packet to send.
func (in *instance) waitHandshakes(ctx context.Context, limit time.Duration) error {
	tick := time.NewTicker(handshakePoll)
	defer tick.Stop()
	deadline := time.Now().Add(limit)
	k := &knocker{in: in, open: make(map[string]net.PacketConn)}
	defer k.close()
	for knocked := (time.Time{}); ; {
		missing := silent(in.router.Status())
		if len(missing) == 0 {
			return nil
		}
		now := time.Now()
		if now.After(deadline) {
			return fmt.Errorf("no handshake within %v: hop %s", limit, strings.Join(missing, ", hop "))
		}
		if now.Sub(knocked) >= knockEvery {
			k.knock(missing)
			knocked = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// silent returns the names of the hops that have a peer, with an endpoint to
// begin with, without a handshake.
func silent(s router.Status) []string {
	var out []string
	for _, h := range s.Hops {
		if slices.ContainsFunc(h.Peers, func(p router.PeerStatus) bool { return p.LatestHandshake.IsZero() }) {
			out = append(out, h.Name)
		}
	}
	return out
}

// A knocker gives hops something to send. Its sockets stay open, for what waits
// in a hop ends with its socket.
type knocker struct {
	in   *instance
	open map[string]net.PacketConn // by hop and network
}

// knock sends a datagram into each of the hops, to the discard port of an
// address that each of its peers takes packets for.
func (k *knocker) knock(hops []string) {
	for _, h := range k.in.router.Status().Hops {
		if !slices.Contains(hops, h.Name) {
			continue
		}
		for _, p := range h.Peers {
			if to, ok := insideOf(h, p); ok {
				k.knockAt(h.Name, to)
			}
		}
	}
}

func (k *knocker) knockAt(hop string, to netip.Addr) {
	network := "udp4"
	if to.Is6() {
		network = "udp6"
	}
	c := k.open[hop+" "+network]
	if c == nil {
		var err error
		if c, err = k.in.listenInside(hop, network); err != nil {
			return // the hop is down, which its status says
		}
		k.open[hop+" "+network] = c
	}
	_, _ = c.WriteTo([]byte{0}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, discardPort)))
}

func (k *knocker) close() {
	for _, c := range k.open {
		_ = c.Close()
	}
}

// insideOf returns an address that p takes packets for, of a family that the hop
// has: one that nobody has, if there is a choice.
func insideOf(h router.HopStatus, p router.PeerStatus) (to netip.Addr, ok bool) {
	for _, prefix := range p.AllowedIPs {
		if !slices.ContainsFunc(h.Addrs, func(own netip.Addr) bool { return own.Is4() == prefix.Addr().Is4() }) {
			continue
		}
		nobody := netip.AddrFrom4([4]byte{240, 0, 0, 9}) // RFC 1112, section 4: reserved
		if prefix.Addr().Is6() {
			nobody = netip.AddrFrom16([16]byte{0: 1, 15: 9}) // RFC 6666: discarded
		}
		if prefix.Contains(nobody) {
			return nobody, true
		}
		if !ok {
			to, ok = prefix.Addr(), true
		}
	}
	return to, ok
}

// listenInside opens a UDP socket in a hop's tunnel.
func (in *instance) listenInside(hop, network string) (net.PacketConn, error) {
	return in.router.ListenUDP(hop, network)
}

// carrierOf returns the hop that carries another now; "": none does.
func (in *instance) carrierOf(hop string) string {
	for _, h := range in.router.Status().Hops {
		if h.Name == hop {
			return h.Via
		}
	}
	return ""
}
