package host

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// netnsHost is a Host whose TUN is in the namespace "apart".
func netnsHost(t *testing.T, dir string, trace func(string)) *Host {
	t.Helper()
	return openHostAs(t, "mh0", &Options{Dir: dir, Netns: "apart", Trace: trace})
}

// A namespace that is not there is made, with everything in it and nothing
// outside, and is removed at the end; one that is there stays.
func TestNetns(t *testing.T) {
	tests := []struct {
		name         string
		there, crash bool
	}{{"made", false, false}, {"there", true, false}, {"made, killed", false, true}, {"there, killed", true, true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			must(t, netlink.LinkDel(link(t, "mh0")))
			if tt.there {
				must(t, (&namespace{"apart"}).do(&kernel{}, nil))
				defer func() { must(t, netns.DeleteNamed("apart")) }()
			}
			thread, err := netns.Get()
			must(t, err)
			defer thread.Close()
			before := told(t)
			dir := t.TempDir()
			var done []string
			h := netnsHost(t, dir, func(l string) { done = append(done, l) })
			c := fullConfig()
			plan, err := h.Plan(c, 0)
			must(t, err)
			if found, err := h.Exists(); found || err != nil {
				t.Errorf("Exists: %v, %v", found, err)
			}
			if _, err := os.Stat("/run/netns/apart"); (err == nil) != tt.there {
				t.Errorf("Plan and Exists changed the namespace: %v", err)
			}
			must(t, h.Do(func() error {
				return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "mh0"}, Mode: netlink.TUNTAP_MODE_TUN})
			}))
			for _, w := range apply(t, h, c) {
				t.Errorf("warning: %s", w)
			}
			if !slices.Equal(plan, done) {
				t.Errorf("plan\n%s\ndone\n%s", strings.Join(plan, "\n"), strings.Join(done, "\n"))
			}
			if now, err := netns.Get(); err != nil || !now.Equal(thread) {
				t.Errorf("the thread is elsewhere now: %v", err)
			} else {
				now.Close()
			}
			sameState(t, before) // outside
			inside := ""
			must(t, h.Do(func() error {
				inside = told(t)
				for _, dst := range []string{"9.9.9.9", "2620:fe::fe", "10.20.1.1"} {
					wantWayOut(t, dst, 0, "mh0")
				}
				return nil
			}))
			for _, want := range []string{"default dev mh0 proto 109", "unreachable default proto 109 metric 3", "inet 10.64.0.2/32"} {
				if !strings.Contains(inside, want) {
					t.Errorf("there is no %q inside", want)
				}
			}
			for _, not := range []string{"multihop-mh0", "from all fwmark"} {
				if strings.Contains(inside, not) {
					t.Errorf("there is %q inside", not)
				}
			}
			if p, err := h.RouteTo(netip.MustParseAddr("9.9.9.9")); err != nil || p.Interface != "eth0" {
				t.Errorf("our own datagrams: %+v, %v", p, err)
			}
			if !tt.crash {
				must(t, h.Close())
			} else {
				must(t, h.Do(func() error { return netlink.LinkDel(link(t, "mh0")) }))
				must(t, h.Release())
				must(t, Clean("mh0", &Options{Dir: dir}))
			}
			sameState(t, before)
			if _, err := os.Stat("/run/netns/apart"); (err == nil) != tt.there {
				t.Errorf("the namespace afterwards: %v", err)
			}
		})
	}
}

// Who comes after a crash and wants another namespace cleans up the old one.
func TestNetnsChanges(t *testing.T) {
	newHost(t)
	dir := t.TempDir()
	h := netnsHost(t, dir, nil)
	c := fullConfig()
	must(t, h.Do(func() error {
		return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "mh0"}, Mode: netlink.TUNTAP_MODE_TUN})
	}))
	apply(t, h, c)
	must(t, h.Release())
	next := openHost(t, dir)
	before := told(t)
	apply(t, next, c)
	if _, err := os.Stat("/run/netns/apart"); err == nil {
		t.Error("the old namespace is still there")
	}
	must(t, next.Close())
	sameState(t, before)

	// A start that failed before Apply leaves nothing.
	h = netnsHost(t, dir, nil)
	must(t, h.Do(func() error { return nil }))
	must(t, h.Release())
	if _, err := os.Stat("/run/netns/apart"); err == nil {
		t.Error("Release left the namespace")
	}
	must(t, Clean("mh0", &Options{Dir: dir}))
}
