package router

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"golang.zx2c4.com/wireguard/device"
)

// A change is what a configuration makes of a hop that stays. What can fail,
// new sockets and their mark, is prepared before anything else, and undone
// without a trace; the rest is validated before, and a device that refuses it
// all the same is restarted.
type change struct {
	hop  *hop
	old  *settings
	next *settings
	port uint16 // where it listened
}

// changed reports whether next differs from what the hop's settings are.
func (h *hop) changed(next *settings) bool {
	old := h.conf()
	return old.via != next.via || !reflect.DeepEqual(old.Hop, next.Hop)
}

// canBecome reports whether h can serve as the hop that cfg describes, in place.
func (h *hop) canBecome(cfg Hop, carried bool) bool {
	v4, v6 := families(cfg.Addrs)
	return h.inner == carried && h.addr4 == v4 && h.addr6 == v6
}

// restarts reports whether the change needs a new device.
func (c *change) restarts() bool {
	return c.old.PrivateKey != c.next.PrivateKey
}

// prepare opens sockets at a new port and sets a new mark, all or nothing. A
// device that is restarted, or does not run, needs neither.
func (c *change) prepare() error {
	h := c.hop
	h.life.Lock()
	defer h.life.Unlock()
	p := h.port.Load()
	if p == nil || c.restarts() || c.next.Down {
		return nil
	}
	if c.old.FwMark != c.next.FwMark {
		if err := h.unblock(p, func() error { return p.dev.BindSetMark(c.next.FwMark) }); err != nil {
			c.unmark(p)
			return fmt.Errorf("router: hop %s: firewall mark: %w", h.name, err)
		}
	}
	c.port = uint16(h.listenPort.Load())
	if c.listens() {
		if err := h.listenAt(p, c.next.ListenPort); err != nil {
			c.unlisten(p)
			return fmt.Errorf("router: hop %s: listen port %d: %w", h.name, c.next.ListenPort, err)
		}
	}
	return nil
}

// unprepare undoes prepare.
func (c *change) unprepare() {
	h := c.hop
	h.life.Lock()
	defer h.life.Unlock()
	p := h.port.Load()
	if p == nil || c.restarts() || c.next.Down {
		return
	}
	if c.listens() {
		c.unlisten(p)
	} else {
		c.unmark(p)
	}
}

// listens reports whether the change needs a socket at another port, where it
// was.
func (c *change) listens() bool {
	return c.old.ListenPort != c.next.ListenPort && c.old.via == c.next.via
}

// unlisten opens the socket where it was.
func (c *change) unlisten(p *port) {
	if err := c.hop.listenAt(p, c.port); err != nil {
		c.hop.fail(p, err)
		return
	}
	c.unmark(p)
}

func (c *change) unmark(p *port) {
	if c.old.FwMark != c.next.FwMark {
		if err := c.hop.unblock(p, func() error { return p.dev.BindSetMark(c.old.FwMark) }); err != nil {
			c.hop.fail(p, err)
		}
	}
}

// commit does the rest.
func (c *change) commit() {
	h := c.hop
	h.life.Lock()
	defer h.life.Unlock()
	p := h.port.Load()
	h.set.Store(c.next)
	h.setEnds(c.next.Peers)
	defer h.refresh()
	switch {
	case c.next.Down:
		h.stopLocked()
	case p == nil && c.old.Down && (c.next.via == nil || !c.next.via.isDown()):
		if err := h.startLocked(); err != nil {
			h.failStopped(err)
		}
	case p == nil:
		h.hasten() // what failed may work now
	case c.restarts() || len(p.peers.Load().out)+len(c.next.Peers) > maxPeerings:
		h.stopLocked()
		if err := h.startLocked(); err != nil {
			h.failStopped(err)
			return
		}
		h.greet(c.next.Peers)
	default:
		if err := c.commitPeers(p); err != nil {
			h.fail(p, err)
			return
		}
		if c.old.via != c.next.via {
			if err := c.rehome(p); err != nil {
				h.fail(p, err)
			}
		}
	}
}

// rehome makes the hop's link a socket of another carrier.
func (c *change) rehome(p *port) error {
	if c.old.ListenPort != c.next.ListenPort {
		return c.hop.listenAt(p, c.next.ListenPort)
	}
	return c.hop.rebindLocked()
}

// commitPeers tells the device what changed of its peers, and no more. What a
// peer gets comes before what another loses: no prefix is without an owner in
// between.
func (c *change) commitPeers(p *port) error {
	if reflect.DeepEqual(c.old.Peers, c.next.Peers) {
		return nil
	}
	var u uapiText
	var shaken []Peer
	was, is := byKey(c.old.Peers), byKey(c.next.Peers)
	had, has := owners(c.old.Peers), owners(c.next.Peers)
	for i := range c.next.Peers {
		peer := &c.next.Peers[i]
		if old := was[peer.PublicKey]; old == nil {
			u.peer(peer, c.hop.endpoint(peer.PublicKey))
		} else if old.PresharedKey != peer.PresharedKey {
			shaken = append(shaken, *peer)
		}
	}
	for i := range c.next.Peers {
		peer := &c.next.Peers[i]
		if old := was[peer.PublicKey]; old != nil {
			u.peerChange(old, peer, c.hop.endpointNow(peer.PublicKey))
		}
		for _, a := range peer.AllowedIPs {
			if has[a] == peer.PublicKey && had[a] != peer.PublicKey {
				u.of(peer.PublicKey, "allowed_ip", a) // taken from whoever had it
			}
		}
	}
	for i := range c.old.Peers {
		old := &c.old.Peers[i]
		if is[old.PublicKey] == nil {
			u.of(old.PublicKey, "remove", true)
			continue
		}
		for _, a := range old.AllowedIPs {
			if _, kept := has[a]; !kept && had[a] == old.PublicKey {
				u.of(old.PublicKey, "allowed_ip", "-"+a.String())
			}
		}
	}
	if err := c.hop.ipcSet(p, &u); err != nil {
		return fmt.Errorf("its device refused a change: %w", err)
	}
	p.setPeers(c.next.Peers)
	c.hop.greet(shaken)
	return nil
}

// lost reports whether packets that went into the hop before the change might
// go somewhere else after it.
func (c *change) lost() bool {
	return !slices.EqualFunc(c.old.Peers, c.next.Peers, func(a, b Peer) bool {
		return a.PublicKey == b.PublicKey && slices.Equal(a.AllowedIPs, b.AllowedIPs)
	})
}

func byKey(peers []Peer) map[Key]*Peer {
	m := make(map[Key]*Peer, len(peers))
	for i := range peers {
		m[peers[i].PublicKey] = &peers[i]
	}
	return m
}

// owners returns the peer that WireGuard gives each prefix to: the last.
func owners(peers []Peer) map[netip.Prefix]Key {
	m := make(map[netip.Prefix]Key)
	for i := range peers {
		for _, a := range peers[i].AllowedIPs {
			m[a] = peers[i].PublicKey
		}
	}
	return m
}

// greet makes new sessions with peers at once: their keys changed. It does not
// wait.
func (h *hop) greet(peers []Peer) {
	p := h.port.Load()
	if p == nil {
		return
	}
	var reached []*device.Peer
	for _, peer := range peers {
		if q := p.peer(peer.PublicKey); q != nil && h.endpointNow(peer.PublicKey).IsValid() {
			reached = append(reached, q)
		}
	}
	if len(reached) == 0 {
		return
	}
	h.r.goroutines.Add(1)
	go func() { // until the last message is sent, or the hop is released
		defer h.r.goroutines.Done()
		for _, q := range reached {
			q.ExpireCurrentKeypairs()
			_ = q.SendHandshakeInitiation(false) // wireguard-go logs and retries
		}
	}()
}
