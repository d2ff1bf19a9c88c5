package router

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaissmai/bart"
)

// Compile validates a configuration and derives what it leaves open. It is
// pure: it asks neither the system nor a resolver. Its error is a *ConfigError
// or several, joined.
func Compile(cfg Config) (*Plan, error) {
	p := &Plan{cfg: cloneConfig(cfg)}
	if err := p.order(); err != nil {
		return nil, err
	}
	var errs []error
	for i := range p.cfg.Hops {
		if err := p.checkHop(&p.cfg.Hops[i]); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for i := range p.cfg.Hops {
		h := &p.cfg.Hops[i]
		errs = append(errs, p.checkCarrier(h), p.deriveMTU(h))
	}
	if err := errors.Join(errs...); err != nil { // routes depend on MTUs
		return nil, err
	}
	if err := errors.Join(p.checkRoutes(), p.deriveAddrs()); err != nil {
		return nil, err
	}
	p.describe()
	return p, nil
}

// cloneConfig copies what Compile changes.
func cloneConfig(cfg Config) *Config {
	cfg.Hops = slices.Clone(cfg.Hops)
	cfg.Routes = slices.Clone(cfg.Routes)
	cfg.Addrs = slices.Clone(cfg.Addrs)
	for i := range cfg.Hops {
		h := &cfg.Hops[i]
		h.Addrs = slices.Clone(h.Addrs)
		h.Peers = slices.Clone(h.Peers)
		for j := range h.Peers {
			h.Peers[j].AllowedIPs = slices.Clone(h.Peers[j].AllowedIPs)
		}
	}
	return &cfg
}

// hop returns the planned hop of that name, or the zero Hop.
func (p *Plan) hop(name string) Hop {
	if h := p.find(name); h != nil {
		return *h
	}
	return Hop{}
}

func (p *Plan) find(name string) *Hop {
	for i := range p.cfg.Hops {
		if p.cfg.Hops[i].Name == name {
			return &p.cfg.Hops[i]
		}
	}
	return nil
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

var hopName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,64}$`)

// order checks names and carriers and sorts the hops, carriers first, else as
// they were given.
func (p *Plan) order() error {
	for i, h := range p.cfg.Hops {
		if !hopName.MatchString(h.Name) {
			return &ConfigError{Field: fmt.Sprintf("Hops[%d].Name", i),
				Err: fmt.Errorf("%q: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-", h.Name)}
		}
		if p.find(h.Name) != &p.cfg.Hops[i] {
			return &ConfigError{Hop: h.Name, Field: "Name", Err: errors.New("two hops have this name")}
		}
	}
	depth := make(map[string]int, len(p.cfg.Hops))
	for _, h := range p.cfg.Hops {
		path := []string{h.Name}
		for via := h.Via; via != ""; {
			carrier := p.find(via)
			if carrier == nil {
				return &ConfigError{Hop: path[len(path)-1], Field: "Via", Err: fmt.Errorf("there is no hop %q", via)}
			}
			if slices.Contains(path, via) {
				return &ConfigError{Hop: h.Name, Field: "Via",
					Err: fmt.Errorf("a cycle: %s", strings.Join(append(path, via), " via "))}
			}
			path = append(path, via)
			via = carrier.Via
		}
		depth[h.Name] = len(path)
	}
	slices.SortStableFunc(p.cfg.Hops, func(a, b Hop) int { return cmp.Compare(depth[a.Name], depth[b.Name]) })
	return nil
}

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
	for i := range h.Peers {
		if field, err := checkPeer(h, i); err != nil {
			return bad(fmt.Sprintf("Peers[%d].%s", i, field), "%w", err)
		}
	}
	return nil
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

func checkPeer(h *Hop, i int) (field string, err error) {
	peer := &h.Peers[i]
	if peer.PublicKey.IsZero() {
		return "PublicKey", errors.New("missing")
	}
	if peer.PublicKey == h.PrivateKey.Public() {
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
		if err := p.reaches(h.Via, a); err != nil {
			return &ConfigError{Hop: h.Name, Field: fmt.Sprintf("Peers[%d].Endpoint", i), Err: err}
		}
	}
	return nil
}

// reaches reports, as an error, why a hop cannot carry datagrams to a.
func (p *Plan) reaches(hop string, a netip.Addr) error {
	h := p.find(hop)
	if !slices.ContainsFunc(h.Addrs, func(own netip.Addr) bool { return own.Is4() == a.Is4() }) {
		return fmt.Errorf("%s: its carrier %s has no %s address", a, hop, family(a))
	}
	for _, peer := range h.Peers {
		if slices.ContainsFunc(peer.AllowedIPs, func(x netip.Prefix) bool { return x.Contains(a) }) {
			return nil
		}
	}
	return fmt.Errorf("%s is outside the AllowedIPs of its carrier %s, which would drop what is sent there", a, hop)
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// checkRoutes checks the routes and sorts them.
func (p *Plan) checkRoutes() error {
	allowed := make(map[string]*bart.Lite)
	for _, h := range p.cfg.Hops {
		t := new(bart.Lite)
		for _, peer := range h.Peers {
			for _, a := range peer.AllowedIPs {
				t.Insert(a)
			}
		}
		allowed[h.Name] = t
	}
	seen := make(map[netip.Prefix]string, len(p.cfg.Routes))
	for i, route := range p.cfg.Routes {
		bad := func(format string, args ...any) error {
			return &ConfigError{Hop: route.Hop, Field: fmt.Sprintf("Routes[%d]", i), Err: fmt.Errorf(format, args...)}
		}
		prefix := route.Prefix
		switch {
		case !prefix.IsValid() || prefix != prefix.Masked() || prefix.Addr().Is4In6():
			return bad("%v: want a prefix without host bits", prefix)
		case route.OnDown != Reject || route.Fallback != "":
			return bad("%v: OnDown: %w", prefix, ErrUnsupported)
		}
		if other, ok := seen[prefix]; ok {
			return bad("%v is also a route of %s", prefix, orReject(other))
		}
		seen[prefix] = route.Hop
		if route.Hop == "" {
			continue
		}
		if p.find(route.Hop) == nil {
			return bad("%v: there is no hop %q", prefix, route.Hop)
		}
		if h := p.find(route.Hop); !route.Derived && !prefix.Addr().Is4() && h.MTU < minMTUIPv6 {
			return bad("%v: %s", prefix, tooNarrow(h))
		}
		if !covered(allowed[route.Hop], prefix) {
			return bad("%v is outside the hop's AllowedIPs: WireGuard would drop its packets", prefix)
		}
	}
	slices.SortFunc(p.cfg.Routes, func(a, b Route) int {
		if a4, b4 := a.Prefix.Addr().Is4(), b.Prefix.Addr().Is4(); a4 != b4 {
			if a4 {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	return nil
}

func orReject(hop string) string {
	if hop == "" {
		return "a route that rejects"
	}
	return "hop " + hop
}

// covered reports whether the prefixes in t together cover p.
func covered(t *bart.Lite, p netip.Prefix) bool {
	if t.LookupPrefix(p) {
		return true
	}
	if p.IsSingleIP() || !t.OverlapsPrefix(p) {
		return false
	}
	low, high := halves(p)
	return covered(t, low) && covered(t, high)
}

// halves splits a prefix in two.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	low = netip.PrefixFrom(p.Addr(), bits)
	b := p.Addr().AsSlice()
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	a, _ := netip.AddrFromSlice(b) // the length is right
	return low, netip.PrefixFrom(a, bits)
}

// deriveAddrs fills in the TUN's addresses.
func (p *Plan) deriveAddrs() error {
	for i, a := range p.cfg.Addrs {
		field := fmt.Sprintf("Addrs[%d]", i)
		if err := checkAddr(a); err != nil {
			return &ConfigError{Field: field, Err: err}
		}
		for _, b := range p.cfg.Addrs[:i] {
			if a.Is4() == b.Is4() {
				return &ConfigError{Field: field, Err: fmt.Errorf("%s is a second address of its family", a)}
			}
		}
	}
	p.Addrs = p.cfg.Addrs
	if len(p.Addrs) > 0 {
		return nil
	}
	for _, is4 := range []bool{true, false} {
	hops:
		for _, h := range p.cfg.Hops {
			for _, a := range h.Addrs {
				if a.Is4() == is4 {
					p.Addrs = append(p.Addrs, a)
					break hops
				}
			}
		}
	}
	return nil
}
