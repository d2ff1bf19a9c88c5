package host

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyConfig has n prefixes of 256 addresses in 16.0.0.0/4.
func manyConfig(n int) Config {
	c := splitConfig()
	r := Route{MTU: 1400, Hop: "many"}
	for i := range n {
		a := netip.AddrFrom4([4]byte{16 + byte(i>>16), byte(i >> 8), byte(i), 0})
		r.Prefixes = append(r.Prefixes, netip.PrefixFrom(a, 24))
	}
	c.Routes = append(c.Routes, r)
	return c
}

// manyRoutes is how many prefixes are routed; MULTIHOP_ROUTES in the environment
// overrides it.
func manyRoutes(t *testing.T) int {
	t.Helper()
	s := os.Getenv("MULTIHOP_ROUTES")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<20 {
		t.Fatalf("MULTIHOP_ROUTES: %q: want 1 to %d", s, 1<<20)
	}
	return n
}

// A stopwatch tells how long each part of a test took, and how much of the
// processors: the machine may be busy with other things.
type stopwatch struct {
	start time.Time
	cpu   time.Duration
}

func startWatch(t *testing.T) stopwatch {
	t.Helper()
	return stopwatch{time.Now(), used(t)}
}

// since is the time, and the processors' time, since the watch began.
func (s stopwatch) since(t *testing.T) (elapsed, cpu time.Duration) {
	t.Helper()
	return time.Since(s.start).Round(time.Millisecond), (used(t) - s.cpu).Round(time.Millisecond)
}

func (s stopwatch) log(t *testing.T, what string) {
	t.Helper()
	elapsed, cpu := s.since(t)
	t.Logf("%-20s %8v, %8v of the processors", what, elapsed, cpu)
}

// used is the processors' time that the process has had.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What is large stays linear, and what did not change costs little.
func TestManyRoutes(t *testing.T) {
	newHost(t)
	n := manyRoutes(t)
	before := told(t)
	h := openHost(t, t.TempDir())
	c := manyConfig(n)
	w := startWatch(t)
	apply(t, h, c)
	w.log(t, fmt.Sprintf("up with %d", n))
	w = startWatch(t)
	apply(t, h, c)
	w.log(t, "nothing new")
	w = startWatch(t)
	must(t, h.SetRouteMTU("many", 1300))
	w.log(t, "another MTU")
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("heap %d MiB", mem.HeapAlloc>>20)
	must(t, h.Release())
	w = startWatch(t)
	next := openHost(t, h.k.dir)
	apply(t, next, c)
	w.log(t, "taken over")
	w = startWatch(t)
	must(t, next.Close())
	w.log(t, "down")
	sameState(t, before)
}
