package leak_test

import (
	"slices"
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// attacks are what a DHCP server or a router of the LAN can do to the host's
// main table (TunnelVision, LocalNet), as arguments of ip(8), with what undoes
// them.
func attacks() []struct {
	name     string
	do, undo [][]string
} {
	const via4, via6 = "via 192.168.7.1 dev eth0", "via 2001:db8:7::1 dev eth0"
	routes := func(verb string, prefixes ...string) [][]string {
		var all [][]string
		for _, p := range prefixes {
			way := via4
			if strings.Contains(p, ":") {
				way = via6
			}
			all = append(all, strings.Fields("route "+verb+" "+p+" "+way))
		}
		return all
	}
	both := func(name string, prefixes ...string) struct {
		name     string
		do, undo [][]string
	} {
		return struct {
			name     string
			do, undo [][]string
		}{name, routes("add", prefixes...), routes("del", prefixes...)}
	}
	var single []string
	for i := range 40 {
		single = append(single, host.Site(i).V4.String(), host.Site(i).V6.String())
	}
	local := func(verb string) [][]string {
		return [][]string{
			strings.Fields("addr " + verb + " 203.0.113.200/24 dev eth0"),
			strings.Fields("addr " + verb + " 2001:db8:99::c8/64 dev eth0 nodad"),
		}
	}
	undoLocal := local("del")
	undoLocal[1] = undoLocal[1][:5]
	return []struct {
		name     string
		do, undo [][]string
	}{
		both("prefixes of the sites", "203.0.113.0/24", "2001:db8:99::/64"),
		both("halves of everything", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"),
		both("host routes", single...),
		{"addresses with the sites' prefix", local("add"), undoLocal},
	}
}

// TestInjectedRoutes changes the host's main table under an instance, as a
// hostile DHCP server does: its routes are longer than the tunnel's.
func TestInjectedRoutes(t *testing.T) {
	t.Parallel()
	s := newScene(t, sceneOptions{})
	s.detector(t)
	entry, _ := s.files("IPv4")
	s.wgQuickLeaks(t, entry)

	for _, flag := range []string{"default", "yes", "no"} {
		t.Run("kill switch "+flag, func(t *testing.T) {
			var args []string
			if flag != "default" {
				args = []string{"--kill-switch", flag}
			}
			i := s.chain(t, "IPv4", args...)
			i.Up(t)
			s.inside.Flow(t, 1, startTime)
			for _, a := range attacks() {
				s.uplink.Mark(t)
				for _, args := range a.do {
					s.IP(t, args...)
				}
				s.inside.Run(t, moment)
				s.outside.Run(t, moment)
				if flag != "no" {
					s.uplink.None(t, a.name)
				} else if leaked := s.insideLeaked(); len(leaked) > 0 { // programs that insist on the uplink have it
					t.Errorf("%s: left in clear: %v", a.name, leaked)
				}
				s.inside.Flow(t, 1, startTime)
				for _, args := range a.undo {
					s.IP(t, args...)
				}
			}
			i.Down(t)
			s.open(t, "after down")
		})
	}
}

// wgQuickLeaks shows that the attacks are attacks: under wg-quick, the host's
// packets then leave in clear.
func (s *scene) wgQuickLeaks(t *testing.T, entry host.File) {
	t.Helper()
	entry.Name = "wg0.conf"
	w := s.WGQuick(t, entry)
	w.Up(t)
	for _, a := range attacks() {
		for _, args := range a.do {
			s.IP(t, args...)
		}
		s.uplink.Mark(t)
		s.inside.Run(t, moment)
		if len(s.insideLeaked()) == 0 {
			t.Fatalf("detector: under wg-quick, %s make nothing leave: %v", a.name, s.uplink.Leaked())
		}
		for _, args := range a.undo {
			s.IP(t, args...)
		}
		s.IP(t, "neighbour", "flush", "dev", "eth0") // whom it looks for still
	}
	w.Down(t)
}

// insideLeaked is the flows that the tunnel carries of which packets left in
// clear.
func (s *scene) insideLeaked() []string {
	inside := s.inside.Names()
	return slices.DeleteFunc(s.uplink.Leaked(), func(name string) bool { return !slices.Contains(inside, name) })
}
