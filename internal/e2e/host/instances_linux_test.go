package host_test

import (
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
		// The one with the default hears of the other's prefixes.
		for end := time.Now().Add(followTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if from, err := n.Host.Echo(v4, 100, startTime); err == nil && from.Addr() == host.OtherAddr().V4 {
				break
			}
		}
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
