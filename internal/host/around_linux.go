package host

import "multihop/internal/firewall"

// around is what of a host, besides a Config, decides what it is told.
type around struct {
	view   view
	v6     ipv6
	tuns   []string         // of the other instances
	others []firewall.Other // their own datagrams
}

// around looks at what there is.
func (h *Host) around(c *Config, l layout) (*around, error) {
	a := &around{tuns: h.k.otherTUNs()}
	if l.policy || l.kill { // else the table main stays as it is
		v, err := h.k.look()
		if err != nil {
			return nil, err
		}
		a.view, a.others = *v, h.k.others()
	}
	if c.LAN == Off {
		a.view.lan = nil
	}
	var err error
	a.v6, err = h.k.ipv6(c)
	return a, err
}
