package leak_test

import (
	"os"
	"slices"
	"strings"
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

	// moment is how long every flow tries to send in a phase, at least.
	moment = time.Second

	everything = "0.0.0.0/0, ::/0"
)

// A scene is a network with relays, traffic from the host and its guest, and
// the watch on the uplink.
type scene struct {
	*host.Network
	relays *host.Relays
	uplink *host.Uplink

	inside  *host.Traffic // what the tunnel carries
	outside *host.Traffic // what it does not
}

// sceneOptions are what differs between scenes.
type sceneOptions struct {
	watch    host.UplinkOptions
	rpFilter int
}

func newScene(t *testing.T, o sceneOptions) *scene {
	t.Helper()
	n := builds.Network(t)
	n.SetRPFilter(o.rpFilter)
	s := &scene{Network: n, relays: n.StartRelays(t)}
	inside := n.Flows()
	outside := slices.Concat(n.BoundFlows(), n.ResolverFlows(), n.EndpointFlows())
	s.uplink = n.WatchUplink(t, slices.Concat(inside, outside), o.watch)
	s.inside, s.outside = n.Traffic(t, inside...), n.Traffic(t, outside...)
	return s
}

// chain is an instance of entry and exit, both with a /0, whose endpoints are
// of like's family.
func (s *scene) chain(t *testing.T, like string, args ...string) *host.Instance {
	t.Helper()
	entry, exit := s.files(like)
	return s.Chain(t, "mh0", []host.File{entry, exit}, args...)
}

func (s *scene) files(like string) (entry, exit host.File) {
	a := host.EntryAddr().V4
	if like == "IPv6" {
		a = host.EntryAddr().V6
	}
	return s.relays.EntryFile(a, everything), s.relays.ExitFile(a, everything)
}

// detector checks that all that the flows send is seen on the uplink, while
// there is no tunnel.
func (s *scene) detector(t *testing.T) {
	t.Helper()
	s.uplink.Mark(t)
	s.inside.Flow(t, 3, startTime)
	s.outside.Run(t, moment)
	s.uplink.Every(t, s.inside.Flows, "detector")
	s.uplink.Every(t, s.outside.Flows, "detector")
	if t.Failed() {
		t.Fatal("the detectors do not work")
	}
}

// phase does something and then lets every flow try to send for a second:
// nothing may leave in clear.
func (s *scene) phase(t *testing.T, name string, do func()) {
	t.Helper()
	s.uplink.Mark(t)
	do()
	s.inside.Run(t, moment)
	s.outside.Run(t, moment)
	s.uplink.None(t, name)
}

// up brings the instance up. What leaves in clear after the tunnel's first
// datagram is a leak: before, the host was open.
func (s *scene) up(t *testing.T, i *host.Instance) {
	t.Helper()
	s.uplink.Mark(t)
	i.Up(t)
	s.inside.Run(t, moment)
	s.outside.Run(t, moment)
	count, first := s.uplink.Tunnel()
	if count == 0 {
		t.Errorf("up: no datagram to the entry\n%s", i.Log())
	}
	s.uplink.NoneAfter(t, "up", first)
}

// works checks that the tunnel carries what it should, and nothing else leaves.
func (s *scene) works(t *testing.T, when string) {
	t.Helper()
	s.inside.Flow(t, 1, startTime)
	s.phase(t, when, func() { s.inside.Flow(t, 10, startTime) })
	for _, a := range host.Site(200 - 1).Both() {
		from, err := s.Host.Echo(a, 1000, startTime)
		if err != nil {
			t.Errorf("%s: %v", when, err)
		} else if want := host.Inner().Of(a); from.Addr() != want {
			t.Errorf("%s: %v saw %v, want %v", when, a, from.Addr(), want)
		}
	}
}

// open checks that the host is as open as before.
func (s *scene) open(t *testing.T, when string) {
	t.Helper()
	s.inside.Flow(t, 1, startTime)
	s.uplink.Mark(t)
	s.inside.Flow(t, 3, startTime)
	s.outside.Run(t, moment)
	s.uplink.Every(t, s.inside.Flows, when)
	s.uplink.Every(t, s.outside.Flows, when)
}

// lines returns the lines of a command's output on the host that contain what.
func (s *scene) lines(t *testing.T, what, name string, args ...string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(s.Must(t, name, args...)) {
		if strings.Contains(line, what) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
