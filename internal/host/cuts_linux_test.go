package host

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

// Cuts tells what Apply does: each answer is compared with the way out after it.
func TestCuts(t *testing.T) {
	tests := []struct {
		name   string
		config func() Config
		peer   string
		want   string
	}{
		{"from the internet", fullConfig, "198.18.0.9", "Exclude = 198.18.0.9"},
		{"over IPv6", fullConfig, "2620:fe::9", "Exclude = 2620:fe::9"},
		{"excluded", fullConfig, "203.0.113.9", ""},
		{"from the LAN", fullConfig, "192.168.7.9", ""},
		{"IPv4 as IPv6, from the LAN", fullConfig, "::ffff:192.168.7.9", ""},
		{"from the LAN, which is denied", func() Config { c := fullConfig(); c.LAN = Off; return c }, "192.168.7.9", "LAN = allow"},
		{"link local", fullConfig, "fe80::9%eth0", ""},
		{"from a private network behind a router", fullConfig, "192.168.8.9", "Exclude = 192.168.8.9"},
		{"on this host", fullConfig, "127.0.0.1", ""},
		{"own address", fullConfig, "192.0.2.2", ""},
		{"not routed", splitConfig, "198.18.0.9", ""},
		{"routed", splitConfig, "10.20.0.9", "Exclude = 10.20.0.9"},
		{"rejected", splitConfig, "10.30.0.9", "Exclude = 10.30.0.9"},
		{"routed, but the host's route is longer", splitConfig, "10.20.99.9", ""},
		{"not routed, with a kill switch", func() Config { c := splitConfig(); c.KillSwitch = On; return c }, "198.18.0.9", "Exclude = 198.18.0.9"},
		{"LAN with a kill switch", func() Config { c := splitConfig(); c.KillSwitch = On; return c }, "192.168.7.9", ""},
		{"table off", func() Config { c := fullConfig(); c.Table = "off"; return c }, "198.18.0.9", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newHost(t)
			must(t, netlink.AddrAdd(link(t, "eth0"), &netlink.Addr{IPNet: ipNetOf("192.168.7.2/24")}))
			foreign(t, "10.20.99.0/24", 0)
			before := told(t)
			h := openHost(t, t.TempDir())
			peer := netip.MustParseAddr(tt.peer)
			mend, err := h.Cuts(tt.config(), peer)
			if err != nil || mend != tt.want {
				t.Errorf("Cuts: %q, %v; want %q", mend, err, tt.want)
			}
			sameState(t, before)
		})
	}
}

func TestCutsWhileUp(t *testing.T) {
	newHost(t)
	h := openHost(t, t.TempDir())
	apply(t, h, fullConfig())
	if mend, err := h.Cuts(fullConfig(), netip.MustParseAddr("198.18.0.9")); mend != "" || err != nil {
		t.Errorf("a session through the TUN: %q, %v", mend, err)
	}
}
