package e2e_test

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// built is the programs under test and the folder that they are in.
type built struct {
	dir      string
	programs *e2e.Programs
}

// build compiles the programs, once for all tests.
var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "multihop-e2e-")
	if err != nil {
		return built{}, err
	}
	p, err := e2e.BuildPrograms(dir)
	return built{dir, p}, err
})

func TestMain(m *testing.M) {
	code := netlab.RunAlone(m)
	if os.Geteuid() == 0 {
		if b, _ := build(); b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

func newNetwork(t testing.TB) *e2e.Network {
	t.Helper()
	netlab.Require(t)
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return e2e.NewNetwork(t, b.programs)
}

// A family is one in which endpoints or payloads are.
type family struct {
	name string
	like netip.Addr
}

func families() []family {
	return []family{{"IPv4", e2e.NearAddr().V4}, {"IPv6", e2e.NearAddr().V6}}
}

// patience is how long a first packet may take: two handshakes, one inside the
// other, and a retry of each.
const patience = 12 * time.Second

// reaches checks that the client reaches the target at addr by ICMP and UDP,
// and that the target sees the source want.
func reaches(t *testing.T, n *e2e.Network, addr, want netip.Addr) {
	t.Helper()
	from, err := n.Client.Echo(addr, 1000, patience)
	if err != nil {
		t.Error(err)
	} else if from.Addr() != want {
		t.Errorf("%v saw UDP from %v, want %v", addr, from.Addr(), want)
	}
	if got, _, err := n.Client.Ping(addr, 3, 1000, 2*time.Second); got != 3 || err != nil {
		t.Errorf("%d of 3 pings answered by %v, %v", got, addr, err)
	}
}

// transfers checks that size bytes reach the target at addr whole, each way,
// and that it sees the source want.
func transfers(t *testing.T, n *e2e.Network, addr, want netip.Addr, size int64) {
	t.Helper()
	up, err := n.Client.Upload(addr, size, time.Minute)
	if err != nil {
		t.Errorf("upload to %v: %v", addr, err)
	} else if up.From.Addr() != want {
		t.Errorf("%v saw TCP from %v, want %v", addr, up.From.Addr(), want)
	}
	down, err := n.Client.Download(addr, size, time.Minute)
	if err != nil {
		t.Errorf("download from %v: %v", addr, err)
	} else if down.From.Addr() != want {
		t.Errorf("%v saw TCP from %v, want %v", addr, down.From.Addr(), want)
	}
	if err == nil {
		t.Logf("%v: %.0f Mbit/s up, %.0f down", addr, up.Mbps(), down.Mbps())
	}
}

// unreachable checks that nothing reaches any of addrs from the client.
func unreachable(t *testing.T, n *e2e.Network, addrs ...netip.Addr) {
	t.Helper()
	var wg sync.WaitGroup
	for _, addr := range addrs {
		wg.Go(func() {
			if from, err := n.Client.Echo(addr, 100, time.Second); err == nil {
				t.Errorf("%v answered, seen from %v", addr, from)
			}
		})
		wg.Go(func() {
			if got, _, _ := n.Client.Ping(addr, 2, 100, 500*time.Millisecond); got != 0 {
				t.Errorf("%v answered %d of 2 pings", addr, got)
			}
		})
		wg.Go(func() {
			if up, err := n.Client.Upload(addr, 1, time.Second); err == nil {
				t.Errorf("%v took a transfer from %v", addr, up.From)
			}
		})
	}
	wg.Wait()
}

// rejected checks that a connection to addr fails with an answer, rather than
// in silence. Answers are rate limited: a repeated SYN may be the one that
// gets it.
func rejected(t *testing.T, n *e2e.Network, addr netip.Addr) {
	t.Helper()
	_, err := n.Client.Upload(addr, 1, 8*time.Second)
	var timeout interface{ Timeout() bool }
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("a connection to %v: %v; want it rejected", addr, err)
	}
}
