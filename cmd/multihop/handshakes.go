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
			in.knock(missing)
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

// knock sends a datagram into each of the hops, to the discard port of an
// address that each of its peers takes packets for.
func (in *instance) knock(hops []string) {
	s := in.router.Status()
	for _, h := range s.Hops {
		if !slices.Contains(hops, h.Name) {
			continue
		}
		for _, p := range h.Peers {
			if to, ok := insideOf(h, p); ok {
				in.knockAt(h.Name, to)
			}
		}
	}
}

func (in *instance) knockAt(hop string, to netip.Addr) {
	network := "udp4"
	if to.Is6() {
		network = "udp6"
	}
	c, err := in.listenInside(hop, network)
	if err != nil {
		return // the hop is down, which its status says
	}
	defer func() { _ = c.Close() }() // the datagram waits in the hop, not in the socket
	_, _ = c.WriteTo([]byte{0}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, discardPort)))
}

// insideOf returns an address that p takes packets for, of a family that the hop
// has.
func insideOf(h router.HopStatus, p router.PeerStatus) (netip.Addr, bool) {
	for _, prefix := range p.AllowedIPs {
		for _, own := range h.Addrs {
			if own.Is4() != prefix.Addr().Is4() {
				continue
			}
			if prefix.Contains(own) { // its own: nobody else is bothered
				return own, true
			}
			return prefix.Addr(), true
		}
	}
	return netip.Addr{}, false
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
