package host

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"multihop/internal/firewall"
)

// outlook is what Apply of a Config will mean for packets, told without doing
// it.
type outlook struct {
	c Config // complete
	l layout

	// Only what is foreseen, before it is in force, has the rest.
	state *state
	wall  *wall // nil: none
	view  *view
}

// outlook derives what c will mean: all of it, or only what does not depend on
// the routes, which may be many.
func (h *Host) outlook(c Config, all bool) (*outlook, error) {
	before := *h.journal
	defer func() { *h.journal = before }()
	if err := h.choose(&c, false); err != nil {
		return nil, err
	}
	l, err := h.layout(&c)
	if err != nil {
		return nil, err
	}
	o := &outlook{c: c, l: l}
	if !all {
		return o, nil
	}
	if o.view, err = h.k.look(); err != nil {
		return nil, err
	}
	if o.state, err = h.want(&c); err != nil {
		return nil, err
	}
	for _, x := range o.state.early {
		if w, ok := x.(*wall); ok {
			o.wall = w
		}
	}
	return o, nil
}

// enters reports whether a packet to a, with another mark than ours, will enter
// the TUN, or be rejected in its place.
func (h *Host) enters(o *outlook, a netip.Addr) (bool, error) {
	if o.l.off {
		return false, nil
	}
	for bits := a.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(a, bits).Masked()
		r, ok := findPrefix(o.state.tuns, o.l.table, p)
		if !ok {
			r, ok = findPrefix(o.state.guards, o.l.table, p)
		}
		switch {
		case !ok:
			continue
		case o.l.policy:
			return r.kind != throw, nil
		}
		theirs, err := h.k.hostBits(a)
		return theirs <= bits, err
	}
	return false, nil
}

// hostBits returns the length of the prefix by which the host now reaches a; -1:
// by none.
func (k *kernel) hostBits(a netip.Addr) (int, error) {
	routes, err := k.nl.RouteGetWithOptions(a.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if noRoute(err) || err == nil && len(routes) == 0 {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("route to %s: %w", a, err)
	}
	if routes[0].Dst == nil {
		return 0, nil // the default route
	}
	bits, _ := routes[0].Dst.Mask.Size()
	return bits, nil
}

// Cuts reports whether Apply of c would cut a connection between this host and
// peer that does not go through the TUN, such as the SSH session in which a
// person is about to start it. mend is the setting that keeps the connection; "":
// it is not cut.
func (h *Host) Cuts(c Config, peer netip.Addr) (mend string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.netns != "" {
		return "", nil
	}
	peer = peer.Unmap().WithZone("")
	if err := h.begin(false); err != nil {
		return "", h.wrap(err)
	}
	now, err := routeTo(h.k.nl, peer, 0)
	if err == nil && (now.Interface == "lo" || now.Interface == h.k.tun) {
		return "", nil
	}
	o, err := h.outlook(c, true)
	if err != nil {
		return "", h.wrap(err)
	}
	enters, err := h.enters(o, peer)
	if err != nil {
		return "", h.wrap(err)
	}
	if !enters && !o.drops(peer) {
		return "", nil
	}
	lan := slices.ContainsFunc(o.view.lan, func(l firewall.LANPrefix) bool { return l.Prefix.Contains(peer) })
	if lan && c.LAN == Off {
		return "LAN = allow", nil
	}
	return "Exclude = " + peer.String(), nil
}

// drops reports whether the kill switch drops a packet of this host to a that
// does not enter the TUN.
func (o *outlook) drops(a netip.Addr) bool {
	if o.wall == nil || !o.wall.KillSwitch {
		return false
	}
	for _, l := range o.wall.LAN {
		if l.Prefix.Contains(a) {
			return false
		}
	}
	return !slices.ContainsFunc(o.wall.Exclude, func(p netip.Prefix) bool { return p.Contains(a) })
}
