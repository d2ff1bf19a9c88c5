package host_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// followTime is how soon an instance knows what another one does.
const followTime = 3 * time.Second

// TestInstances runs several instances side by side: each has what is its own,
// and the end of one, by down or by SIGKILL, does nothing to the others.
func TestInstances(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	o := n.StartOther(t)
	before := n.State(t)
	chain := n.Chain(t, "mh0", files(r))
	split := n.Chain(t, "mh1", []host.File{o.File("other.conf", "10.99.0.0/24, fd99::/64, 203.0.113.64/26")})
	v4 := host.Site(60).V4 // 203.0.113.70
	works := func(t *testing.T) {
		t.Helper()
		bothHops(t, n)
		follows(n, v4, host.OtherAddr().V4)
		sees(t, n, v4, host.OtherAddr().V4)
		sees(t, n, host.OtherInside().V4, host.OtherAddr().V4)
	}

	for _, f := range []struct {
		name          string
		first, second *host.Instance
	}{{"default first", chain, split}, {"split first", split, chain}} {
		t.Run(f.name, func(t *testing.T) {
			f.first.Up(t)
			one := n.State(t)
			f.second.Up(t)
			works(t)
			if out, err := n.Multihop("show"); err != nil || !strings.Contains(out, "mh0") || !strings.Contains(out, "mh1") {
				t.Errorf("show: %v\n%s", err, out)
			}

			f.second.Kill(t)
			f.second.Up(t)
			works(t)
			f.first.Kill(t)
			f.first.Up(t)
			works(t)

			f.second.Down(t)
			n.Same(t, one, "after down of the second")
			f.second.Up(t)
			works(t)
			f.first.Down(t)
			f.second.Down(t)
			n.Same(t, before, "after down of both")
		})
	}
}

// follows gives the one with the default time to hear of the other's prefixes:
// until then it carries what is for them.
func follows(n *host.Network, target, want netip.Addr) {
	for end := time.Now().Add(followTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if from, err := n.Host.Echo(target, 100, time.Second); err == nil && from.Addr() == want {
			return
		}
	}
}

// TestTwoKillSwitches runs two instances that each let nothing out beside them:
// they let each other be.
func TestTwoKillSwitches(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	o := n.StartOther(t)
	before := n.State(t)
	chain := n.Chain(t, "mh0", files(r))
	v4 := host.Site(60).V4 // 203.0.113.70
	for _, f := range []struct {
		name  string
		other *host.Instance
	}{
		{"split", n.Chain(t, "mh1", []host.File{o.File("other.conf", "10.99.0.0/24, fd99::/64, 203.0.113.64/26")}, "--kill-switch", "yes")},
		{"default", n.Chain(t, "mh1", []host.File{o.File("all.conf", everything)})},
	} {
		for _, order := range [][2]*host.Instance{{chain, f.other}, {f.other, chain}} {
			t.Run(f.name+", first "+order[0].Name, func(t *testing.T) {
				u := n.WatchUplink(t, nil, host.UplinkOptions{
					Endpoints: []netip.AddrPort{host.EntryEndpoint(host.EntryAddr().V4), o.Endpoint()},
				})
				order[0].Up(t)
				order[1].Up(t)
				u.Mark(t)
				// Of two defaults the first one has everything, the other's tunnel, too.
				first := host.Inner()
				if f.name == "default" && order[0] == f.other {
					first = host.OtherAddr()
				}
				a4, a6 := site()
				sees(t, n, a4, first.V4)
				sees(t, n, a6, first.V6)
				if f.name == "split" {
					follows(n, v4, host.OtherAddr().V4)
					sees(t, n, v4, host.OtherAddr().V4)
				}
				u.None(t, "both up")
				order[0].Down(t)
				u.Mark(t)
				if order[1] == chain {
					bothHops(t, n)
					u.None(t, "one down")
				}
				order[1].Down(t)
				n.Same(t, before, "after down of both")
			})
		}
	}
}
