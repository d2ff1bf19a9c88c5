package naive

import "net/netip"

// A Forest is a configuration.
type Forest struct {
	TUN    []netip.Addr // at most one per family
	Hops   []Hop
	Groups []Group
	Routes []Route
}

// A Hop is a tunnel whose peer's AllowedIPs are everything.
type Hop struct {
	Name     string
	Via      string // hop or group; "": the host's network
	Addrs    []netip.Addr
	Endpoint netip.Addr
	MTU      int // 0: what the carrier leaves
	Down     bool
}

// A Group is several hops, of which one serves: the first that is not down, until
// it is down itself.
type Group struct {
	Name   string
	Hops   []string
	Serves string
}

// A Route sends what a prefix covers, where no longer prefix does, to a target.
type Route struct {
	Prefix   netip.Prefix
	Target   string // hop or group; "": reject
	Drop     bool   // when down: silently
	Fallback string // when down: another target
}

// hop returns the hop that serves a target now.
func (f *Forest) hop(target string) *Hop {
	for i := range f.Hops {
		if f.Hops[i].Name == target {
			return &f.Hops[i]
		}
	}
	for _, g := range f.Groups {
		if g.Name != target {
			continue
		}
		return f.hop(g.Serves)
	}
	return nil
}

// Settle makes the hops of groups serve that should, after a change.
func (f *Forest) Settle() {
	for i := range f.Groups {
		g := &f.Groups[i]
		if g.Serves == "" {
			g.Serves = g.Hops[0]
		}
		for _, name := range append([]string{g.Serves}, g.Hops...) {
			if !f.down(f.hop(name)) {
				g.Serves = name
				break
			}
		}
	}
}

// down reports whether a hop, or what carries it, is down.
func (f *Forest) down(h *Hop) bool { return h.Down || h.Via != "" && f.down(f.hop(h.Via)) }

// MTU returns what a hop carries: what its file says or, if that is less, what
// any hop leaves that may carry it.
func (f *Forest) MTU(h *Hop) int {
	mtu := h.MTU
	if mtu == 0 {
		mtu = 65000
	}
	over := 60
	if h.Endpoint.Is6() {
		over = 80
	}
	for _, name := range f.hopsOf(h.Via) {
		mtu = min(mtu, f.MTU(f.hop(name))-over)
	}
	return mtu
}

// hopsOf returns the hops that a target stands for.
func (f *Forest) hopsOf(target string) []string {
	for _, g := range f.Groups {
		if g.Name == target {
			return g.Hops
		}
	}
	if target == "" {
		return nil
	}
	return []string{target}
}

// route returns the longest route to an address.
func (f *Forest) route(a netip.Addr) *Route {
	var best *Route
	for i := range f.Routes {
		r := &f.Routes[i]
		if r.Prefix.Contains(a) && (best == nil || r.Prefix.Bits() > best.Prefix.Bits()) {
			best = r
		}
	}
	return best
}

// Serves returns the name of the hop that packets to an address go to now; "": none.
func (f *Forest) Serves(a netip.Addr) string {
	if h := f.serves(f.route(a)); h != nil {
		return h.Name
	}
	return ""
}

// serves returns the hop that a route gives packets to now; nil: none.
func (f *Forest) serves(r *Route) *Hop {
	if r == nil || r.Target == "" {
		return nil
	}
	h := f.hop(r.Target)
	if f.down(h) && r.Fallback != "" {
		if b := f.hop(r.Fallback); !f.down(b) {
			return b
		}
	}
	return h
}

// Out returns what becomes of a packet from the TUN: the hop that it leaves by
// and what it is then, or the name under which it is dropped, and at which hop,
// if at one.
func (f *Forest) Out(pkt []byte) (hop string, out []byte, drop string) {
	p := read(pkt)
	if p == nil {
		return "", nil, "malformed"
	}
	own, has := f.own(f.TUN, p.dst)
	switch {
	case !has:
		return "", nil, "family"
	case p.src != own:
		return "", nil, "source"
	case p.dst.IsMulticast(), p.dst == netip.MustParseAddr("255.255.255.255"):
		return "", nil, "multicast"
	}
	r := f.route(p.dst)
	if r == nil {
		return "", nil, "no_route"
	}
	h := f.serves(r)
	if h == nil {
		return "", nil, "rejected"
	}
	if f.down(h) {
		if r.Drop {
			return h.Name, nil, "down_silent"
		}
		return h.Name, nil, "down"
	}
	addr, has := f.own(h.Addrs, p.dst)
	mtu := f.MTU(h)
	switch {
	case !has, p.v6 && mtu < 1280:
		return h.Name, nil, "family"
	case len(p.data) > mtu:
		return h.Name, nil, "too_big"
	}
	p.source(addr)
	receive := mtu
	if h.Via != "" {
		receive = mtu / 16 * 16 // its peer pads to 16
	}
	p.clamp(receive)
	p.sum()
	return h.Name, p.data, ""
}

// In returns what becomes of a packet that a hop's peer sends: what reaches the
// TUN, or the name under which it is dropped.
func (f *Forest) In(hop string, pkt []byte) (out []byte, drop string) {
	h := f.hop(hop)
	p := read(pkt)
	if p == nil {
		return nil, "malformed"
	}
	addr, has := f.own(h.Addrs, p.dst)
	mtu := f.MTU(h)
	tun, reachable := f.own(f.TUN, p.dst)
	if !has || p.dst != addr || !reachable || p.v6 && mtu < 1280 {
		return nil, "destination"
	}
	if f.forbidden(p.src) || f.serves(f.route(p.src)) != h {
		return nil, "spoof"
	}
	p.destination(tun)
	p.clamp(mtu)
	p.sum()
	return p.data, ""
}

// own returns the address of dst's family.
func (f *Forest) own(addrs []netip.Addr, dst netip.Addr) (netip.Addr, bool) {
	for _, a := range addrs {
		if a.Is4() == dst.Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// forbidden reports whether nobody may send from an address: this host, nobody,
// everybody, or one of ours.
func (f *Forest) forbidden(a netip.Addr) bool {
	for _, p := range []string{"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/128", "::1/128", "ff00::/8"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	for _, h := range f.Hops {
		for _, own := range h.Addrs {
			if own == a {
				return true
			}
		}
	}
	for _, own := range f.TUN {
		if own == a {
			return true
		}
	}
	return false
}
