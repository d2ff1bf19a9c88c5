package path_test

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// The path MTUs of the narrow addresses, less than any hop's.
const (
	narrowV4 = 1200
	narrowV6 = 1280
)

// patience is how long a first packet may take: two handshakes, one inside the
// other, and a retry of each.
const patience = 12 * time.Second

// A purpose chooses one of a target's addresses.
type purpose int

const (
	tracing purpose = iota
	pinging
	pingingPast // to be reached by packets that the kernel believes to fit
	tracingPath
	tracingNarrow
	refusing
	fragmenting
	sizing
	filtered
	narrowTCP
	narrowUDP
	narrowLink
	narrowTransfer
	purposes
)

// isNarrow reports whether the addresses for p are behind a narrow link.
func (p purpose) isNarrow() bool { return p == narrowTCP || p == narrowUDP || p == tracingNarrow }

// A side is what is behind one of the hops.
type side struct {
	hop    string   // that its route names
	client e2e.Pair // its hop's tunnel address, which the target sees
	relay  *netlab.Host
	tunnel *netlab.Tunnel
	target *netlab.Host
	net    int        // its networks are 198.18.net.0/24 and the next one
	way    []e2e.Pair // who answers a traceroute before the target does
}

// addr is the target's address for p, of like's family.
func (s *side) addr(p purpose, like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.AddrFrom4([4]byte{198, 18, byte(s.net + 1), byte(10 + p)})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", s.net+1, 10+p))
}

// prefixes are those of the target.
func (s *side) prefixes() []string {
	return []string{fmt.Sprintf("198.18.%d.0/24", s.net+1), fmt.Sprintf("2001:db8:%d::/64", s.net+1)}
}

// A network is the hosts of the package comment, with relays.
type network struct {
	*e2e.Network
	relays        *e2e.Relays
	direct, inner side // through the entry alone; through both
}

func (n *network) sides() []*side { return []*side{&n.direct, &n.inner} }

// build compiles the programs, once for all tests.
var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "multihop-path-")
	if err != nil {
		return built{}, err
	}
	p, err := e2e.BuildPrograms(dir)
	return built{dir, p}, err
})

// built is the programs under test and the folder that they are in.
type built struct {
	dir      string
	programs *e2e.Programs
}

func TestMain(m *testing.M) {
	code := netlab.RunAlone(m)
	if os.Geteuid() == 0 {
		if b, _ := build(); b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	netlab.Require(t)
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{Network: e2e.NewNetwork(t, b.programs)}
	n.relays = n.StartRelays(t, e2e.RelayOptions{})
	n.direct = side{
		hop: "entry", client: e2e.Outer(), relay: n.Entry, tunnel: n.relays.Entry, net: 16,
		way: []e2e.Pair{pair("10.64.0.1", "fd64::1"), e2e.NearAddr(), pair("198.18.16.2", "2001:db8:16::2")},
	}
	n.inner = side{
		hop: "exit", client: e2e.Inner(), relay: n.Exit, tunnel: n.relays.Exit, net: 32,
		way: []e2e.Pair{pair("10.65.0.1", "fd65::1"), e2e.FarAddr(), pair("198.18.32.2", "2001:db8:32::2")},
	}
	n.extend(t, &n.direct, n.Near)
	n.extend(t, &n.inner, n.Far)
	for _, h := range []*netlab.Host{n.Entry, n.Exit, n.Near, n.Far} {
		unlimited(h)
	}
	n.Entry.Via("198.51.100.2", n.inner.prefixes()[0])
	n.Entry.Via("2001:db8:2::2", n.inner.prefixes()[1])
	return n
}

func pair(v4, v6 string) e2e.Pair {
	return e2e.Pair{V4: netip.MustParseAddr(v4), V6: netip.MustParseAddr(v6)}
}

// extend builds what is behind s.relay, whose neighbour first already is, and
// sets s.target.
func (n *network) extend(t *testing.T, s *side, first *netlab.Host) {
	second := n.Host(s.hop + " second")
	s.target = n.Host(s.hop + " target")
	n.Wire(first, "eth1", second, "eth0")
	n.Wire(second, "eth1", s.target, "eth0")
	v4 := func(net, host int) string { return fmt.Sprintf("198.18.%d.%d", s.net+net, host) }
	v6 := func(net, host int) string { return fmt.Sprintf("2001:db8:%d::%d", s.net+net, host) }
	first.Addr("eth1", v4(0, 1)+"/24", v6(0, 1)+"/64")
	second.Addr("eth0", v4(0, 2)+"/24", v6(0, 2)+"/64")
	second.Addr("eth1", v4(1, 1)+"/24", v6(1, 1)+"/64")
	s.target.Addr("eth0", v4(1, 2)+"/24", v6(1, 2)+"/64")
	first.Forward()
	second.Forward()
	for _, h := range []*netlab.Host{second, s.target} {
		unlimited(h)
	}
	s.relay.Via(s.way[1].V4.String(), s.prefixes()[0])
	s.relay.Via(s.way[1].V6.String(), s.prefixes()[1])
	first.Via(v4(0, 2), s.prefixes()[0])
	first.Via(v6(0, 2), s.prefixes()[1])
	second.Via(v4(0, 1), "0.0.0.0/0")
	second.Via(v6(0, 1), "::/0")
	s.target.Via(v4(1, 1), "0.0.0.0/0")
	s.target.Via(v6(1, 1), "::/0")
	for p := range purposes {
		a4, a6 := s.addr(p, e2e.NearAddr().V4), s.addr(p, e2e.NearAddr().V6)
		s.target.Addr("eth0", a4.String()+"/32", a6.String()+"/128")
		if p.isNarrow() {
			first.ViaMTU(narrowV4, v4(0, 2), a4.String()+"/32")
			first.ViaMTU(narrowV6, v6(0, 2), a6.String()+"/128")
		}
	}
	s.target.ServeTarget(t)
}

// unlimited makes h's kernel answer every packet that deserves an ICMP error.
func unlimited(h *netlab.Host) {
	h.Sysctl("ipv4/icmp_ratelimit=0")
	h.Sysctl("ipv6/icmp/ratelimit=0")
}

// chain returns a chain with endpoints of like's family, one route per side and
// those given.
func (n *network) chain(like netip.Addr, routes ...string) e2e.Chain {
	// AllowedIPs as providers write them: ICMP errors come from any router.
	c := e2e.Chain{
		Entry:  n.relays.EntryConf(like, "0.0.0.0/0", "::/0"),
		Exit:   n.relays.ExitConf(like, "0.0.0.0/0", "::/0"),
		Routes: routes,
	}
	for _, s := range n.sides() {
		for _, p := range s.prefixes() {
			c.Routes = append(c.Routes, s.hop+"="+p)
		}
	}
	return c
}

// start starts the chain c and waits until both targets answer. If the test
// fails, what was dropped is logged.
func (n *network) start(t *testing.T, c e2e.Chain) *running {
	t.Helper()
	i := n.Run(t, c)
	t.Cleanup(func() {
		if t.Failed() {
			s, err := i.Status()
			t.Logf("at the end: %+v, %v", s, err)
			for _, s := range n.sides() {
				t.Logf("the %s relay says: %s", s.hop, s.tunnel.Process.Output())
			}
		}
	})
	for _, s := range n.sides() {
		for _, f := range families() {
			// Larger answers: where the exit's datagrams have to be cut up
			// inside the outer tunnel, its kernel loses one and learns.
			for _, size := range []int{100, 1340, 2000} {
				if _, err := n.Client.Echo(s.addr(sizing, f.like), size, patience); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return &running{n, i}
}

// A family is one in which endpoints or payloads are.
type family struct {
	name string
	like netip.Addr
}

func families() []family {
	return []family{{"IPv4", e2e.NearAddr().V4}, {"IPv6", e2e.NearAddr().V6}}
}

// header is the length of an IP and a UDP (or ICMP echo) header.
func (f family) header() int {
	if f.like.Is4() {
		return 20 + 8
	}
	return 40 + 8
}

// narrow is the path MTU of a narrow address.
func (f family) narrow() int {
	if f.like.Is4() {
		return narrowV4
	}
	return narrowV6
}
