package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// checkHop checks what a hop says by itself.
func (p *Plan) checkHop(h *Hop) error {
	bad := func(field, format string, args ...any) error {
		return &ConfigError{Hop: h.Name, Field: field, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case h.PrivateKey.IsZero():
		return bad("PrivateKey", "missing")
	case len(h.Peers) == 0:
		return bad("Peers", "a hop needs at least one peer")
	case h.Fragment && h.Via == "":
		return bad("Fragment", "only a carried hop has a link; this one is on the host's network")
	case h.Via != "" && h.FwMark != 0:
		return bad("FwMark", "only a hop on the host's network has a mark; this one is carried by %s", h.Via)
	}
	for i, a := range h.Addrs {
		field := fmt.Sprintf("Addrs[%d]", i)
		if err := checkAddr(a); err != nil {
			return bad(field, "%w", err)
		}
		for _, b := range h.Addrs[:i] {
			if a.Is4() == b.Is4() {
				return bad(field, "%s is a second address of its family: translation is one to one", a)
			}
		}
	}
	own := h.PrivateKey.Public()
	for i := range h.Peers {
		if field, err := checkPeer(h, i, own); err != nil {
			return bad(fmt.Sprintf("Peers[%d].%s", i, field), "%w", err)
		}
	}
	if i := mixedEndpoint(h); i >= 0 && h.Via == "" && !bothFamilies {
		return bad(fmt.Sprintf("Peers[%d].Endpoint", i), "%w", errMixed)
	}
	return nil
}

// mixedEndpoint returns the index of the first peer whose endpoint is of another
// family than that of one before it; -1: there is none.
func mixedEndpoint(h *Hop) int {
	var first netip.Addr
	for i, peer := range h.Peers {
		host, _, _ := splitEndpoint(peer.Endpoint)
		a, err := netip.ParseAddr(host)
		switch {
		case err != nil:
		case !first.IsValid():
			first = a
		case a.Is4() != first.Is4():
			return i
		}
	}
	return -1
}

func checkAddr(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("not an address")
	case a.Is4In6(), a.Zone() != "":
		return fmt.Errorf("%s: want a plain IPv4 or IPv6 address", a)
	case a.IsUnspecified(), a.IsLoopback(), a.IsMulticast():
		return fmt.Errorf("%s cannot be a tunnel's address", a)
	}
	return nil
}

func checkPeer(h *Hop, i int, own Key) (field string, err error) {
	peer := &h.Peers[i]
	if peer.PublicKey.IsZero() {
		return "PublicKey", errors.New("missing")
	}
	if peer.PublicKey == own {
		return "PublicKey", errors.New("is the hop's own")
	}
	for _, other := range h.Peers[:i] {
		if other.PublicKey == peer.PublicKey {
			return "PublicKey", errors.New("another peer has the same")
		}
	}
	if k := peer.Keepalive; k < 0 || k > 65535*time.Second || k%time.Second != 0 {
		return "Keepalive", fmt.Errorf("%v: want whole seconds, at most 65535", k)
	}
	for j, a := range peer.AllowedIPs {
		if !a.IsValid() || a != a.Masked() || a.Addr().Is4In6() {
			return fmt.Sprintf("AllowedIPs[%d]", j), fmt.Errorf("%v: want a prefix without host bits", a)
		}
	}
	if peer.Endpoint != "" {
		if _, _, err := splitEndpoint(peer.Endpoint); err != nil {
			return "Endpoint", err
		}
	}
	return "", nil
}

// splitEndpoint splits host:port. An address among hosts is in its plain form.
func splitEndpoint(s string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q: want host:port or [address]:port", s)
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port must be a number from 1 to 65535", s)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().String()
	}
	return host, uint16(n), nil
}

// checkCarrier checks that the carrier reaches the hop's endpoints.
func (p *Plan) checkCarrier(h *Hop) error {
	if h.Via == "" {
		return nil
	}
	for i, peer := range h.Peers {
		host, _, err := splitEndpoint(peer.Endpoint)
		if err != nil {
			continue // learned
		}
		a, err := netip.ParseAddr(host)
		if err != nil {
			continue // a name: Apply checks what it resolves to
		}
		for _, carrier := range p.members(h.Via) {
			if err := carrier.reaches(a, "its carrier"); err != nil {
				return &ConfigError{Hop: h.Name, Field: fmt.Sprintf("Peers[%d].Endpoint", i), Err: err}
			}
		}
	}
	return nil
}

// An inside is a UDP port inside a hop's tunnel.
type inside struct {
	carrier string
	port    uint16
}

// checkPort checks that no hop of those in taken has the port of h inside a
// carrier that h may come to, and adds h.
func (p *Plan) checkPort(h *Hop, taken map[inside]string) error {
	if h.ListenPort == 0 {
		return nil
	}
	for _, carrier := range p.members(h.Via) {
		at := inside{carrier.Name, h.ListenPort}
		if other := taken[at]; other != "" {
			return &ConfigError{Hop: h.Name, Field: "ListenPort", Err: fmt.Errorf("%d is that of hop %s, which %s may carry, too", h.ListenPort, other, carrier.Name)}
		}
		taken[at] = h.Name
	}
	return nil
}

// reaches reports, as an error that calls the hop who, why it cannot carry packets
// to a.
func (h *Hop) reaches(a netip.Addr, who string) error {
	if !hasFamily(h.Addrs, a) {
		return fmt.Errorf("%s: %s %s has no %s address", a, who, h.Name, family(a))
	}
	if h.allows(a) {
		return nil
	}
	return fmt.Errorf("%s is outside the AllowedIPs of %s %s, which would drop what is sent there", a, who, h.Name)
}

// allows reports whether a peer of the hop has a in its AllowedIPs.
func (h *Hop) allows(a netip.Addr) bool {
	for i := range h.Peers {
		if slices.ContainsFunc(h.Peers[i].AllowedIPs, func(x netip.Prefix) bool { return x.Contains(a) }) {
			return true
		}
	}
	return false
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
