package host_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

var builds host.Builds

func TestMain(m *testing.M) { os.Exit(builds.Main(m)) }

const (
	// startTime is how long the first packets through both hops may take: two
	// handshakes, one inside the other, and retries of each, on a busy machine.
	startTime = 30 * time.Second

	everything = "0.0.0.0/0, ::/0"
)

// site is one that nothing else of a test sends to.
func site() (v4, v6 netip.Addr) { p := host.Site(150); return p.V4, p.V6 }

// sees checks that a target sees the host as want.
func sees(t *testing.T, n *host.Network, target, want netip.Addr) {
	t.Helper()
	from, err := n.Host.Echo(target, 1000, startTime)
	if err != nil {
		t.Errorf("%v: %v", target, err)
	} else if from.Addr() != want {
		t.Errorf("%v saw %v, want %v", target, from.Addr(), want)
	}
}

// bothHops checks that the host reaches sites through entry and exit.
func bothHops(t *testing.T, n *host.Network) {
	t.Helper()
	v4, v6 := site()
	sees(t, n, v4, host.Inner().V4)
	sees(t, n, v6, host.Inner().V6)
}

// direct checks that the host reaches sites by its own network.
func direct(t *testing.T, n *host.Network) {
	t.Helper()
	v4, v6 := site()
	sees(t, n, v4, host.HostAddr().V4)
	sees(t, n, v6, host.HostPublic())
}

// files are the two of a chain in which both have a /0.
func files(r *host.Relays) []host.File {
	a := host.EntryAddr().V4
	return []host.File{r.EntryFile(a, everything), r.ExitFile(a, everything)}
}
