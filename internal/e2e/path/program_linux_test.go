package path_test

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// output runs a program on the client and returns what it printed, whatever its
// exit status.
func (n *network) output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := n.Client.Run(ctx, name, args...)
	if ctx.Err() != nil {
		t.Fatalf("%v did not end:\n%s", err, out)
	}
	return out
}

// traces runs traceroute with the options given and returns who answered at
// each TTL; the zero Addr: nobody.
func (n *network) traces(t *testing.T, addr netip.Addr, options ...string) (way []netip.Addr, out string) {
	t.Helper()
	program := netlab.RequireTool(t, "traceroute", "traceroute")
	out = n.output(t, program, append(options, "-n", "-q", "1", "-w", "2", "-m", "8", addr.String())...)
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if ttl, err := strconv.Atoi(f[0]); err != nil || ttl != len(way)+1 {
			continue
		}
		a, _ := netip.ParseAddr(f[1])
		way = append(way, a)
	}
	return way, out
}

// traceroute sees each router beyond the hop's relay, the relay and the target.
func traceroute(t *testing.T, c *running, s *side, f family) {
	addr := s.addr(tracing, f.like)
	var want []netip.Addr
	for _, p := range s.way {
		want = append(want, p.Of(f.like))
	}
	want = append(want, addr)
	for _, method := range []string{"-U", "-I", "-T", "-UL"} {
		way, out := c.traces(t, addr, method)
		if !slices.Equal(way, want) {
			// Once in some hundred runs "traceroute -T" overlooks replies that a
			// capture on the TUN shows.
			way, out = c.traces(t, addr, method)
		}
		if !slices.Equal(way, want) {
			t.Errorf("traceroute %s goes %v, want %v\n%s", method, way, want, out)
		}
	}
}

// TestTracerouteSplit: where the route table gives a router's address to
// another hop, its errors arrive in the name of the destination.
func TestTracerouteSplit(t *testing.T) {
	n := newNetwork(t)
	n.start(t, n.chain(families()[0].like, "entry=198.18.32.0/24", "entry=2001:db8:32::/64"))
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			addr := n.inner.addr(tracing, f.like)
			for _, method := range []string{"-U", "-I", "-T"} {
				way, out := n.traces(t, addr, method)
				// Some methods stop where the destination answers, in whatever name.
				want := []netip.Addr{n.inner.way[0].Of(f.like), n.inner.way[1].Of(f.like), addr, addr}
				if len(way) < 3 || !slices.Equal(way, want[:min(len(way), len(want))]) {
					t.Errorf("traceroute %s goes %v, want %v\n%s", method, way, want, out)
				}
			}
		})
	}
}

var (
	received = regexp.MustCompile(`(\d+) received`)
	tooLong  = regexp.MustCompile(`(?i)(?:message too long|frag needed|packet too big).*mtu ?[=:] ?(\d+)`)
)

// pings sends one echo request in an IP packet of size bytes, DF set.
func (n *network) pings(t *testing.T, f family, addr netip.Addr, size int) fate {
	t.Helper()
	program := netlab.RequireTool(t, "ping", "iputils-ping")
	out := n.output(t, program, "-n", "-c", "1", "-W", "1", "-M", "do", "-s", strconv.Itoa(size-f.header()), addr.String())
	m, big := received.FindStringSubmatch(out), tooLong.FindStringSubmatch(out)
	switch {
	case m != nil && m[1] == "1":
		return fate{delivered: true}
	case big != nil:
		mtu, _ := strconv.Atoi(big[1])
		return fate{tooBig: mtu}
	}
	t.Log(out)
	return fate{}
}

// ping finds the route's MTU, to the byte: as the kernel's route has it, and as
// the router itself judges.
func ping(t *testing.T, c *running, s *side, f family) {
	mtu := c.mtu(t, s)
	c.unbounded(s.addr(pingingPast, f.like))
	for _, to := range []purpose{pinging, pingingPast} {
		addr := s.addr(to, f.like)
		for _, size := range []int{mtu - 1, mtu} {
			if got := c.pings(t, f, addr, size); !got.delivered {
				t.Errorf("ping of %d bytes to %v at an MTU of %d: %v", size, addr, mtu, got)
			}
		}
		for _, size := range []int{mtu + 1, deviceMTU} {
			if got := c.pings(t, f, addr, size); got.tooBig != mtu {
				t.Errorf("ping of %d bytes to %v at an MTU of %d: %v", size, addr, mtu, got)
			}
		}
	}
}

// tracepath ends at the target, with the MTU of the hop or of a narrow link.
func tracepath(t *testing.T, c *running, s *side, f family) {
	program := netlab.RequireTool(t, "tracepath", "iputils-tracepath")
	for _, tt := range []struct {
		to  purpose
		mtu int
	}{{tracingPath, c.mtu(t, s)}, {tracingNarrow, f.narrow()}} {
		addr := s.addr(tt.to, f.like)
		out := c.output(t, program, "-n", "-m", "8", addr.String())
		reached := regexp.MustCompile(regexp.QuoteMeta(addr.String()) + ` .*reached`)
		resume := fmt.Sprintf("Resume: pmtu %d hops %d ", tt.mtu, len(s.way)+1)
		if !reached.MatchString(out) || !strings.Contains(out, resume) {
			t.Errorf("tracepath to %v, want it to end with %q:\n%s", addr, resume, out)
		}
	}
}
