package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// Bytes that a layer costs: the first as much as wg-quick allows for, one that is
// carried its headers with IPv4.
const (
	rootCost    = 80
	carriedCost = 60
)

// TestMTU changes the MTU of the way to the entry while the instance is up: the
// hops', the TUN's and the kernel's routes' follow, and come back.
func TestMTU(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	a := host.EntryAddr().V4
	site := host.Site(30).V4.String() // through the entry alone
	i := n.Chain(t, "mh0", []host.File{r.EntryFile(a, everything), r.ExitFile(a, everything)},
		"--route", "entry="+site+"/32", "--route", "0.0.0.0/0", "--route", "::/0")
	i.Up(t)
	bothHops(t, n)
	for _, f := range []struct {
		name   string
		change []string // arguments of ip
		link   int
	}{
		{"as it was", nil, 1500},
		{"a smaller uplink", []string{"link", "set", "eth0", "mtu", "1450"}, 1450},
		{"as before", []string{"link", "set", "eth0", "mtu", "1500"}, 1500},
		{"a route with an MTU", []string{"route", "replace", "default", "via", "192.168.7.1", "dev", "eth0", "mtu", "1440"}, 1440},
		{"another route's", []string{"route", "add", host.EntryAddr().V4.String(), "via", "192.168.7.1", "dev", "eth0", "mtu", "1430"}, 1430},
		{"that route gone", []string{"route", "del", host.EntryAddr().V4.String()}, 1440},
		{"a route without", []string{"route", "replace", "default", "via", "192.168.7.1", "dev", "eth0"}, 1500},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.change != nil {
				n.IP(t, f.change...)
			}
			entry := f.link - rootCost
			mtus(t, n, i, entry, entry-carriedCost)
			v4 := host.Site(150).V4
			if from, err := n.Host.Echo(v4, 1000, startTime); err != nil || from.Addr() != host.Inner().V4 {
				t.Errorf("through both hops: %v, %v", from, err)
			}
		})
	}
	i.Down(t)
}

// mtus waits until the MTUs of the hops, of the TUN and of the routes into it are
// as they should be.
func mtus(t *testing.T, n *host.Network, i *host.Instance, entry, exit int) {
	t.Helper()
	want := fmt.Sprintf("hops entry %d, exit %d; TUN %d; routes entry %d, exit %d, IPv6 %d", entry, exit, entry, entry, exit, exit)
	got := ""
	for end := time.Now().Add(mtuTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s, err := i.Status()
		if err != nil || len(s.Hops) != 2 {
			t.Fatalf("%v: %+v", err, s)
		}
		table := n.IP(t, "route", "show", "table", "all")
		got = fmt.Sprintf("hops entry %d, exit %d; TUN %d; routes entry %s, exit %s, IPv6 %s", s.Hops[0].MTU, s.Hops[1].MTU,
			linkMTU(t, n, i.Name), routeMTU(table, host.Site(30).V4.String()), routeMTU(table, "default"),
			routeMTU(n.IP(t, "-6", "route", "show", "table", "all"), "default"))
		if got == want {
			return
		}
	}
	t.Errorf("%v later:\n%s, want\n%s", mtuTime, got, want)
}

// mtuTime is how soon a change of the network is taken over.
const mtuTime = 10 * time.Second

// routeMTU is what ip says of the MTU of the route to dst into the TUN.
func routeMTU(table, dst string) string {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if f[0] != dst || !strings.Contains(line, " dev mh0 ") {
			continue
		}
		for k := range f[:len(f)-1] {
			if f[k] == "mtu" {
				return f[k+1]
			}
		}
	}
	return "none"
}

func linkMTU(t *testing.T, n *host.Network, name string) (mtu int) {
	t.Helper()
	f := strings.Fields(n.IP(t, "link", "show", "dev", name))
	for k := range f[:len(f)-1] {
		if f[k] == "mtu" {
			_, _ = fmt.Sscan(f[k+1], &mtu)
		}
	}
	return mtu
}
