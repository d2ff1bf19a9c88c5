package host

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listener returns a function that returns the types of the messages, of
// NETLINK_ROUTE and of nftables, since the last call.
func listener(t *testing.T) func() []uint16 {
	t.Helper()
	route, err := nl.Subscribe(unix.NETLINK_ROUTE, groups()...)
	must(t, err)
	t.Cleanup(route.Close)
	nft, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	must(t, err)
	t.Cleanup(nft.Close)
	return func() (types []uint16) {
		for _, s := range []*nl.NetlinkSocket{route, nft} {
			must(t, s.SetReceiveTimeout(&unix.Timeval{Usec: 100_000}))
			for {
				messages, _, err := s.Receive()
				if err != nil {
					break
				}
				for _, m := range messages {
					types = append(types, m.Header.Type)
				}
			}
		}
		return types
	}
}

// What did not change is not touched.
func TestReload(t *testing.T) {
	needTools(t)
	newHost(t)
	before := told(t)
	h := openHost(t, t.TempDir())
	events := listener(t)
	apply(t, h, fullConfig())
	time.Sleep(100 * time.Millisecond)
	if len(events()) < 20 {
		t.Fatal("the listener hears nothing")
	}
	c := fullConfig()
	apply(t, h, c)
	if got := events(); len(got) > 0 {
		t.Errorf("the same again: events %v", got)
	}

	c.Routes[0].MTU = 1300
	apply(t, h, c)
	if got := events(); !slices.Equal(got, []uint16{unix.RTM_NEWROUTE}) {
		t.Errorf("another MTU: events %v", got)
	}
	must(t, h.SetRouteMTU("10.20.0.0/16", 1290))
	if got := events(); !slices.Equal(got, []uint16{unix.RTM_NEWROUTE}) {
		t.Errorf("SetRouteMTU: events %v", got)
	}
	for range 2 { // the same again; a hop without a route
		must(t, h.SetRouteMTU("10.20.0.0/16", 1290))
		must(t, h.SetRouteMTU("10.21.0.0/16", 1290))
	}
	if got := events(); len(got) > 0 {
		t.Errorf("SetRouteMTU again: events %v", got)
	}

	c.Routes = append(c.Routes, Route{Prefix: netip.MustParsePrefix("10.40.0.0/16")}) // guard and route
	apply(t, h, c)
	if got := events(); !slices.Equal(got, []uint16{unix.RTM_NEWROUTE, unix.RTM_NEWROUTE, unix.RTM_NEWROUTE}) {
		t.Errorf("one more route, and the MTU of the Config again: events %v", got)
	}
	c.Routes[3].Reject = true
	apply(t, h, c)
	wantWayOut(t, "10.40.0.1", 0, "")
	if got := events(); !slices.Equal(got, []uint16{unix.RTM_DELROUTE}) {
		t.Errorf("one route rejects: events %v", got)
	}

	c.Addrs = []netip.Addr{netip.MustParseAddr("10.64.0.3"), c.Addrs[1]}
	apply(t, h, c)
	wantWayOut(t, "9.9.9.9", 0, "mh0")
	if p, err := h.RouteTo(netip.MustParseAddr("9.9.9.9")); err != nil || p.Interface != "eth0" {
		t.Errorf("our own datagrams: %+v, %v", p, err)
	}
	must(t, h.Close())
	sameState(t, before)
}

// SetEndpoints changes the firewall's set and nothing else, until the next Apply.
func TestSetEndpoints(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	c := fullConfig()
	apply(t, h, c)
	add := netip.MustParseAddrPort("198.51.100.99:4711")
	must(t, h.SetEndpoints([]netip.AddrPort{add}))
	has := func() bool {
		t.Helper()
		ok, err := h.k.wall.Present(h.journal.Changes[h.journal.index("wall")].(*wall).Config)
		must(t, err)
		if !ok {
			t.Error("the table is not what the journal says")
		}
		return slices.Contains(h.Status().Endpoints, add)
	}
	if !has() || len(h.Status().Endpoints) != 3 {
		t.Errorf("endpoints %v", h.Status().Endpoints)
	}
	h.follow() // what changes around us leaves it
	if !has() {
		t.Error("forgotten when the network changed")
	}
	apply(t, h, c)
	if has() {
		t.Error("still there after the next Apply")
	}
	must(t, h.Close())

	split := openHost(t, t.TempDir())
	apply(t, split, splitConfig())
	must(t, split.SetEndpoints([]netip.AddrPort{add}))
	if err := split.SetEndpoints([]netip.AddrPort{netip.MustParseAddrPort("10.20.0.1:1")}); err == nil {
		t.Error("an endpoint inside a route into the TUN is no error")
	}
}
