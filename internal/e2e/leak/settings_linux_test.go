package leak_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// TestLAN reaches the LAN's private addresses, and no others of it, unless it
// is denied.
func TestLAN(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name    string
		args    []string
		allowed bool
	}{
		{"default", nil, true},
		{"allow", []string{"--lan", "allow"}, true},
		{"deny", []string{"--lan", "deny"}, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t, sceneOptions{watch: host.UplinkOptions{LAN: f.allowed}})
			s.detector(t)
			s.neighbours(t, host.NeighbourAddr().Both(), true)
			s.neighbours(t, []netip.Addr{neighbourPublic()}, true)
			i := s.chain(t, "IPv4", f.args...)
			s.up(t, i)
			if f.allowed {
				s.works(t, "up")
			} else { // the guest is in a private network, too: nothing gets to it
				s.phase(t, "up", func() { s.reaches(t, host.Site(150).V4, host.Inner().V4) })
			}
			s.uplink.Mark(t)
			s.neighbours(t, host.NeighbourAddr().Both(), f.allowed)
			s.neighbours(t, []netip.Addr{neighbourPublic()}, false)
			s.uplink.None(t, "LAN")
			i.Down(t)
			s.neighbours(t, host.NeighbourAddr().Both(), true)
		})
	}
}

// neighbourPublic is a public address that the LAN has, too.
func neighbourPublic() netip.Addr { return netip.MustParseAddr("2001:db8:7::66") }

// neighbours checks that the LAN's neighbour is reached by the host at addrs
// directly, and reaches it, or that neither is so.
func (s *scene) neighbours(t *testing.T, addrs []netip.Addr, want bool) {
	t.Helper()
	for _, a := range addrs {
		from, err := s.Host.Echo(a, 100, 2*time.Second)
		direct := err == nil && slices.Contains(append(host.HostAddr().Both(), host.HostPublic()), from.Addr())
		if direct != want {
			t.Errorf("%v is reached directly: %v (from %v, %v); want %v", a, direct, from, err, want)
		}
	}
	for _, a := range host.HostAddr().Both() {
		if !slices.Contains(host.NeighbourAddr().Both(), addrs[0]) {
			break // the private ones are asked for
		}
		got, _, _ := s.Neighbour.Ping(a, 2, 10, time.Second)
		if (got > 0) != want {
			t.Errorf("the neighbour's pings to %v: %d answered, want some: %v", a, got, want)
		}
	}
}

// TestExclude sends what is excluded outside the tunnel, and nothing else.
func TestExclude(t *testing.T) {
	t.Parallel()
	excluded := []netip.Prefix{netip.MustParsePrefix("9.9.9.9/32"), netip.MustParsePrefix("2620:fe::9/128")}
	s := newScene(t, sceneOptions{watch: host.UplinkOptions{Excluded: excluded}})
	s.detector(t)
	i := s.chain(t, "IPv4", "--exclude", "9.9.9.9", "--exclude", "2620:fe::9/128")
	s.up(t, i)
	s.works(t, "up")
	s.phase(t, "excluded", func() {
		for _, p := range excluded {
			from, err := s.Host.Echo(p.Addr(), 100, startTime)
			if want := direct(p.Addr()); err != nil || from.Addr() != want {
				t.Errorf("%v saw %v, %v; want %v", p, from, err, want)
			}
		}
	})
	i.Down(t)
	s.open(t, "after down")
}

// direct is the host's address that a public one of a's family sees.
func direct(a netip.Addr) netip.Addr {
	if a.Is4() {
		return host.HostAddr().V4
	}
	return host.HostPublic()
}

// TestIPv6 tunnels IPv4 alone: IPv6 goes nowhere, unless it is to go directly.
func TestIPv6(t *testing.T) {
	t.Parallel()
	const ipv4Only = "0.0.0.0/0"
	t.Run("default", func(t *testing.T) {
		s := newScene(t, sceneOptions{})
		s.detector(t)
		a := host.EntryAddr().V4
		i := s.Chain(t, "mh0", []host.File{s.relays.EntryFile(a, everything), s.relays.ExitFile(a, ipv4Only)})
		s.up(t, i)
		s.reaches(t, host.Site(150).V4, host.Inner().V4)
		s.phase(t, "up", func() { s.unreached(t, host.Site(150).V6) })
		s.phase(t, "kill -9", func() { i.Kill(t) })
		s.phase(t, "restart", func() { i.Up(t) })
		i.Down(t)
		s.open(t, "after down")
	})
	t.Run("direct", func(t *testing.T) {
		all := netip.MustParsePrefix("::/0")
		s := newScene(t, sceneOptions{watch: host.UplinkOptions{Excluded: []netip.Prefix{all}}})
		a := host.EntryAddr().V4
		i := s.Chain(t, "mh0", []host.File{s.relays.EntryFile(a, everything), s.relays.ExitFile(a, ipv4Only)}, "--ipv6", "direct")
		s.up(t, i)
		s.reaches(t, host.Site(150).V4, host.Inner().V4)
		s.phase(t, "up", func() { s.reaches(t, host.Site(150).V6, host.HostPublic()) })
		s.phase(t, "kill -9", func() { i.Kill(t) })
		i.Down(t)
		s.reaches(t, host.Site(150).V4, host.HostAddr().V4)
	})
}

func (s *scene) reaches(t *testing.T, a, want netip.Addr) {
	t.Helper()
	from, err := s.Host.Echo(a, 1000, startTime)
	if err != nil || from.Addr() != want {
		t.Errorf("%v saw %v, %v; want %v", a, from, err, want)
	}
}

// unreached checks that a is refused at once, not after a time.
func (s *scene) unreached(t *testing.T, a netip.Addr) {
	t.Helper()
	start := time.Now()
	if up, err := s.Host.Upload(a, 1, 5*time.Second); err == nil {
		t.Errorf("%v took a transfer from %v", a, up.From)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a connection to %v failed after %v; want it rejected", a, took)
	}
}

// TestGuards does without a kill switch: what the tunnel carries still goes
// nowhere else, after a crash too.
func TestGuards(t *testing.T) {
	t.Parallel()
	s := newScene(t, sceneOptions{})
	s.detector(t)
	i := s.chain(t, "IPv4", "--kill-switch", "no")
	i.Up(t)
	s.inside.Flow(t, 3, startTime)
	for _, f := range []struct {
		name string
		do   func()
	}{
		{"up", func() {}},
		{"kill -9", func() { i.Kill(t) }},
		{"restart", func() { i.Up(t) }},
		{"the TUN down", func() { s.IP(t, "link", "set", "mh0", "down") }},
		{"the TUN deleted", func() { s.IP(t, "link", "del", "mh0") }},
	} {
		s.uplink.Mark(t)
		f.do()
		s.inside.Run(t, 2*moment)
		if leaked := s.insideLeaked(); len(leaked) > 0 {
			t.Errorf("%s: left in clear: %v", f.name, leaked)
		}
	}
	i.Down(t)
	s.open(t, "after down")
}
