package host

import (
	"net/netip"
	"slices"
	"testing"
)

// Another mark, and other endpoints, take effect with Apply: until then, and when
// it never comes, our own datagrams are those that the rules know.
func TestAnotherMark(t *testing.T) {
	newHost(t)
	dir := t.TempDir()
	h, other := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
	c := fullConfig()
	endpoint := c.Endpoints[0].Addr()
	apply(t, h, c)
	want := func(when string, mark uint32, endpoints []netip.AddrPort) {
		t.Helper()
		if p, err := h.RouteTo(endpoint); err != nil || p.Interface != "eth0" {
			t.Errorf("%s: our own datagrams: %+v, %v", when, p, err)
		}
		must(t, other.begin(false))
		tunnels, err := other.k.tunnels()
		must(t, err)
		if len(tunnels) != 1 || tunnels[0].mark != mark || !slices.Equal(tunnels[0].endpoints, endpoints) {
			t.Errorf("%s: another instance reads %+v, want mark %d, endpoints %v", when, tunnels, mark, endpoints)
		}
	}
	was := sortedEndpoints(c.Endpoints)
	want("up", 52820, was)

	next := c
	next.Mark, next.Endpoints = 0x77, c.Endpoints[:1]
	wantWayOut(t, endpoint.String(), next.Mark, "mh0") // the detector
	must(t, h.Choose(&next))
	want("chosen", 52820, was)

	again := c // that was refused
	must(t, h.Choose(&again))
	if again.Mark != 52820 {
		t.Errorf("after a refusal: mark %d", again.Mark)
	}
	failed := false
	h.k.fault = func(call string) error {
		if call != "add rule" || failed { // after the firewall
			return nil
		}
		failed = true
		return errFault
	}
	if _, err := h.Apply(t.Context(), next); err == nil {
		t.Fatal("no failure")
	}
	h.k.fault = nil
	want("failed", 52820, was)

	apply(t, h, next)
	want("applied", 0x77, next.Endpoints)
	must(t, h.SetEndpoints(c.Endpoints[1:]))
	want("roamed", 0x77, was)

	// Another process takes over, with another mark yet.
	must(t, h.Release())
	h = openHost(t, dir)
	next.Mark = 0x78
	must(t, h.Choose(&next))
	want("taken over", 0x77, next.Endpoints)
	apply(t, h, next)
	want("applied again", 0x78, next.Endpoints)
}
