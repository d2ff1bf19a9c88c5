package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// uapiDir is where WireGuard in userspace has its sockets.
const uapiDir = "/var/run/wireguard"

// uapiTimeout bounds the question to another WireGuard.
const uapiTimeout = 2 * time.Second

// tunnel is another WireGuard interface, or instance, of this host.
type tunnel struct {
	name      string
	mark      uint32
	endpoints []netip.AddrPort
}

// Nested looks for tunnels inside one another that nobody asked for: other
// WireGuard interfaces whose datagrams enter our TUN, and our own that enter
// another tunnel, or our TUN again. Before Apply it tells what c will mean;
// afterwards it asks the kernel.
func (h *Host) Nested(c Config) ([]Nesting, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.begin(false); err != nil {
		return nil, h.wrap(err)
	}
	defer h.leaveEmpty()
	var tunnels []tunnel
	err := h.k.outer.do(func() (err error) {
		tunnels, err = h.k.tunnels()
		return err
	})
	if err != nil {
		return nil, h.wrap(err)
	}
	foreseen := h.config == nil && slices.ContainsFunc(tunnels, func(t tunnel) bool { return len(t.endpoints) > 0 })
	o, err := h.outlook(c, foreseen)
	if err != nil {
		return nil, h.wrap(err)
	}
	var out []Nesting
	err = h.k.outer.do(func() error {
		nl, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer nl.Close()
		out = h.ours(nl, o, tunnels)
		theirs, err := h.theirs(nl, o, tunnels)
		out = append(out, theirs...)
		return err
	})
	return out, h.wrap(err)
}

// theirs are the other tunnels that are inside ours.
func (h *Host) theirs(nl *netlink.Handle, o *outlook, tunnels []tunnel) ([]Nesting, error) {
	if h.netns != "" {
		return nil, nil
	}
	var out []Nesting
	for _, t := range tunnels {
		for _, e := range t.endpoints {
			a := e.Addr().Unmap()
			enters, err := false, error(nil)
			if h.config == nil {
				if !o.l.policy || t.mark != o.c.Mark {
					enters, err = h.enters(o, a)
				}
			} else if p, lookErr := routeTo(nl, a, t.mark); lookErr == nil {
				enters = p.Interface == h.k.tun
			}
			if err != nil {
				return nil, err
			}
			if enters {
				out = append(out, Nesting{Interface: t.name, Endpoint: e, Inside: h.k.tun, Mend: o.mend(t, a)})
			}
		}
	}
	return out, nil
}

// mend says how another tunnel stays outside of ours.
func (o *outlook) mend(t tunnel, a netip.Addr) string {
	exclude := fmt.Sprintf("Exclude = %s in the profile of %s", a, o.c.Name)
	if !o.l.policy {
		return exclude
	}
	mark := fmt.Sprintf("FwMark = %#x in the file of %s", o.c.Mark, t.name)
	if o.l.kill {
		return mark + ", and for the kill switch " + exclude
	}
	return mark
}

// ours are our own datagrams that enter another tunnel, or ours again.
func (h *Host) ours(nl *netlink.Handle, o *outlook, tunnels []tunnel) []Nesting {
	var out []Nesting
	for _, e := range o.c.Endpoints {
		p, err := routeTo(nl, e.Addr(), o.c.Mark)
		if err != nil {
			continue // no way at all
		}
		n := Nesting{Interface: h.k.tun, Endpoint: e, Inside: p.Interface}
		i := slices.IndexFunc(tunnels, func(t tunnel) bool { return t.name == p.Interface })
		l, err := nl.LinkByName(p.Interface)
		switch {
		case p.Interface == h.k.tun:
			n.Mend = "a loop: somebody else's route or rule sends our own packets back to us: see \"ip route get " +
				fmt.Sprintf("%s mark %#x", e.Addr(), o.c.Mark) + "\""
		case i >= 0 && tunnels[i].mark != 0:
			n.Mend = fmt.Sprintf("FwMark = %#x in the profile of %s", tunnels[i].mark, h.k.tun)
		case i >= 0 || err == nil && isTunnel(l):
			n.Mend = fmt.Sprintf("take %s out of the routes of %s", e.Addr(), p.Interface)
		default:
			continue
		}
		out = append(out, n)
	}
	return out
}

// isTunnel reports whether what enters the interface leaves it encapsulated, by
// this host or a program on it.
func isTunnel(l netlink.Link) bool {
	return l.Type() == "wireguard" || l.Type() == "tuntap" || l.Type() == "tun"
}

// tunnels returns the other WireGuard interfaces of the calling thread's network
// namespace, and the other instances.
func (k *kernel) tunnels() ([]tunnel, error) {
	var out []tunnel
	for _, j := range otherJournals(k.dir, k.tun) {
		if len(j.Endpoints) > 0 {
			out = append(out, tunnel{j.Name, j.mark(), j.Endpoints})
		}
	}
	links, err := k.nl.LinkList()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		name := l.Attrs().Name
		if name == k.tun || slices.ContainsFunc(out, func(t tunnel) bool { return t.name == name }) {
			continue
		}
		_, err := os.Stat(filepath.Join(uapiDir, name+".sock"))
		if err != nil && l.Type() != "wireguard" {
			continue
		}
		t, err := ask(name)
		if err != nil { // a socket that nobody answers
			continue
		}
		out = append(out, t)
	}
	return out, nil
}

// ask asks a WireGuard interface for its mark and endpoints.
func ask(name string) (tunnel, error) {
	client, err := wgctrl.New() // its sockets are in the namespace of this thread
	if err != nil {
		return tunnel{}, err
	}
	type answer struct {
		device *wgtypes.Device
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { _ = client.Close() }()
		d, err := client.Device(name)
		answered <- answer{d, err}
	}()
	select {
	case <-time.After(uapiTimeout):
		return tunnel{}, errors.New("no answer")
	case a := <-answered:
		if a.err != nil {
			return tunnel{}, a.err
		}
		t := tunnel{name: name, mark: uint32(a.device.FirewallMark)}
		for _, p := range a.device.Peers {
			if p.Endpoint != nil {
				e := p.Endpoint.AddrPort()
				t.endpoints = append(t.endpoints, netip.AddrPortFrom(e.Addr().Unmap(), e.Port()))
			}
		}
		return t, nil
	}
}
