package router

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A uapiText is a "set" of the WireGuard configuration protocol that is being
// written. It may hold keys: it must not be logged.
type uapiText struct {
	strings.Builder
	about Key // the peer that the lines are about; zero: none yet
}

func (u *uapiText) set(key string, value any) { fmt.Fprintf(u, "%s=%v\n", key, value) }

// of sets something of a peer.
func (u *uapiText) of(peer Key, key string, value any) {
	if u.about != peer {
		u.set("public_key", peer.hex())
		u.about = peer
	}
	u.set(key, value)
}

// peer adds a peer, but for its AllowedIPs. An invalid endpoint is not known.
func (u *uapiText) peer(p *Peer, endpoint netip.AddrPort) {
	u.of(p.PublicKey, "protocol_version", 1)
	if !p.PresharedKey.IsZero() {
		u.set("preshared_key", p.PresharedKey.hex())
	}
	if endpoint.IsValid() {
		u.set("endpoint", endpoint)
	}
	u.set("persistent_keepalive_interval", int(p.Keepalive/time.Second))
}

// peerChange writes what differs between two states of a peer, but for its
// AllowedIPs.
func (u *uapiText) peerChange(old, next *Peer, endpoint netip.AddrPort) {
	if old.PresharedKey != next.PresharedKey {
		u.of(next.PublicKey, "preshared_key", next.PresharedKey.hex())
	}
	if old.Endpoint != next.Endpoint && endpoint.IsValid() {
		u.of(next.PublicKey, "endpoint", endpoint)
	}
	if old.Keepalive != next.Keepalive {
		u.of(next.PublicKey, "persistent_keepalive_interval", int(next.Keepalive/time.Second))
	}
}
