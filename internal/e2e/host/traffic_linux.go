package host

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// pace is the time between two packets of a flow.
const pace = 25 * time.Millisecond

// A Proto is what a Flow sends.
type Proto string

// The protocols of flows.
const (
	UDP    Proto = "udp"
	TCP    Proto = "tcp"
	ICMP   Proto = "icmp"
	DNS    Proto = "dns"     // UDP
	DNSTCP Proto = "dns-tcp" // a connection a query
)

// A Flow is traffic of one kind from one host to one address that only it
// sends to, by protocol and port: so a packet tells whose it is.
type Flow struct {
	Name  string // "guest tcp IPv6"
	Proto Proto
	From  *netlab.Host
	To    netip.AddrPort
	Bind  netip.Addr // source address that the program insists on; zero: none
	Dev   string     // interface that it insists on; "": none

	sent, answered *atomic.Int64
}

// String is the flow's name.
func (f *Flow) String() string { return f.Name }

// Sent is how often the flow tried to send so far: whether it was let or not.
func (f *Flow) Sent() int { return int(f.sent.Load()) }

// Answered is how many answers it has had.
func (f *Flow) Answered() int { return int(f.answered.Load()) }

func newFlow(name string, proto Proto, from *netlab.Host, to netip.Addr) *Flow {
	port := uint16(EchoPort)
	switch proto {
	case DNS, DNSTCP:
		port = DNSPort
	case ICMP:
		port = 0
	}
	name += " " + string(proto) + " IPv4"
	if to.Is6() {
		name = name[:len(name)-1] + "6"
	}
	return &Flow{
		Name: name, Proto: proto, From: from, To: netip.AddrPortFrom(to, port),
		sent: new(atomic.Int64), answered: new(atomic.Int64),
	}
}

// Flows are traffic of every kind and both families to sites that only the
// tunnel may reach: from the host and from its guest.
func (n *Network) Flows() []*Flow {
	return append(n.HostFlows(), flows(n.Guest, 20)...)
}

// HostFlows are those from the host.
func (n *Network) HostFlows() []*Flow { return flows(n.Host, 0) }

// flows are those from a host, to sites from the first on.
func flows(from *netlab.Host, first int) []*Flow {
	var fs []*Flow
	for k, proto := range []Proto{UDP, TCP, ICMP, DNS, DNSTCP} {
		for _, a := range Site(first + k).Both() {
			fs = append(fs, newFlow(from.Name, proto, from, a))
		}
	}
	return fs
}

// BoundFlows are programs of the host that insist on the uplink, by its address
// or its interface: no tunnel carries what they send, and nothing else may.
func (n *Network) BoundFlows() []*Flow {
	var fs []*Flow
	for _, proto := range []Proto{UDP, TCP} {
		to := Site(100 + len(fs))
		for _, a := range to.Both() {
			own := HostAddr().V4
			if a.Is6() {
				own = HostPublic()
			}
			f := newFlow("host, from the uplink's address,", proto, n.Host, a)
			f.Bind = own
			fs = append(fs, f)
		}
	}
	for _, proto := range []Proto{UDP, TCP} {
		to := Site(100 + len(fs))
		for _, a := range to.Both() {
			f := newFlow("host, bound to the uplink,", proto, n.Host, a)
			f.Dev = "eth0"
			fs = append(fs, f)
		}
	}
	return fs
}

// ResolverFlows are queries of the host to the LAN's resolver.
func (n *Network) ResolverFlows() []*Flow {
	var fs []*Flow
	for _, proto := range []Proto{DNS, DNSTCP} {
		for _, a := range RouterAddr().Both() {
			fs = append(fs, newFlow("host, at the LAN's resolver,", proto, n.Host, a))
		}
	}
	return fs
}

// EndpointFlows are the host's own traffic to the entry's address, which is not
// the tunnel's: TCP, and UDP to other ports and to the very port of the relay.
func (n *Network) EndpointFlows() []*Flow {
	entry := EntryAddr().V4
	udp := newFlow("host, to the endpoint's port,", UDP, n.Host, entry)
	udp.To = netip.AddrPortFrom(entry, EntryPort)
	return []*Flow{
		newFlow("host, to the endpoint,", UDP, n.Host, entry),
		newFlow("host, to the endpoint,", TCP, n.Host, entry),
		newFlow("host, to the endpoint,", ICMP, n.Host, entry),
		newFlow("host, to the endpoint,", DNS, n.Host, entry),
		udp,
	}
}

// Traffic is flows that run, at a steady pace, until the test ends.
type Traffic struct {
	Flows []*Flow

	done chan struct{}
	wg   sync.WaitGroup
	stop sync.Once
}

// Traffic starts the flows. Whatever becomes of their packets, they go on.
func (n *Network) Traffic(tb testing.TB, flows ...*Flow) *Traffic {
	tb.Helper()
	t := &Traffic{Flows: flows, done: make(chan struct{})}
	for i, f := range flows {
		start := pace * time.Duration(i) / time.Duration(len(flows)) // spread
		t.wg.Go(func() {
			select {
			case <-time.After(start):
				f.run(t.done)
			case <-t.done:
			}
		})
	}
	tb.Cleanup(t.Stop)
	return t
}

// Stop ends the flows. It is idempotent.
func (t *Traffic) Stop() {
	t.stop.Do(func() { close(t.done) })
	t.wg.Wait()
}

// Run lets the traffic run for a while, and until every flow has tried to send
// at least twice.
func (t *Traffic) Run(tb testing.TB, d time.Duration) {
	tb.Helper()
	end := time.Now().Add(d)
	if idle := t.wait(2, d+20*time.Second, (*Flow).Sent); len(idle) > 0 {
		tb.Fatalf("traffic: %v send no more", idle)
	}
	time.Sleep(time.Until(end))
}

// Flow waits until every flow has had at least count answers more, and fails
// the test if one has not in time.
func (t *Traffic) Flow(tb testing.TB, count int, timeout time.Duration) {
	tb.Helper()
	if mute := t.wait(count, timeout, (*Flow).Answered); len(mute) > 0 {
		tb.Errorf("traffic: no answer for %d of %d flows within %v: %v", len(mute), len(t.Flows), timeout, mute)
	}
}

// wait waits until a count of every flow has grown by enough, and returns the
// flows of which it has not.
func (t *Traffic) wait(enough int, timeout time.Duration, count func(*Flow) int) []string {
	before := make([]int, len(t.Flows))
	for i, f := range t.Flows {
		before[i] = count(f)
	}
	for end := time.Now().Add(timeout); ; time.Sleep(5 * time.Millisecond) {
		var behind []string
		for i, f := range t.Flows {
			if have := count(f) - before[i]; have < enough {
				behind = append(behind, fmt.Sprintf("%s (%d)", f.Name, have))
			}
		}
		if len(behind) == 0 || time.Now().After(end) {
			return behind
		}
	}
}

// Names are the names of the flows, sorted.
func (t *Traffic) Names() []string {
	var names []string
	for _, f := range t.Flows {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}
