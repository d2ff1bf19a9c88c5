package leak_test

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/e2e/host"
	"multihop/internal/netlab"
)

// TestProbes looks for the tunnel's addresses from the LAN, as CVE-2019-14899
// does: by packets to them, of every kind, and by ARP. Nobody answers, and what
// is forged as a site's, from the LAN, reaches no program.
func TestProbes(t *testing.T) {
	t.Parallel()
	t.Run("detector", func(t *testing.T) { newProber(t, builds.Network(t)).detector(t) })
	if t.Failed() {
		return
	}
	for _, f := range []struct {
		name string
		args []string
	}{
		{"kill switch", nil},
		{"no kill switch", []string{"--kill-switch", "no"}},
		{"no LAN", []string{"--lan", "deny"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			n := builds.Network(t)
			p := newProber(t, n)
			r := n.StartRelays(t)
			a := host.EntryAddr().V4
			files := []host.File{r.EntryFile(a, everything), r.ExitFile(a, everything)}
			i := n.Chain(t, "mh0", files, f.args...)
			before := n.State(t)
			i.Up(t)
			tr := n.Traffic(t, n.HostFlows()...)
			tr.Flow(t, 3, startTime)

			p.forget()
			p.probe(t)
			if p.answers.Count() != 0 {
				t.Errorf("answers to the LAN: %s", p.answers.Report())
			}
			if k := p.heard.Load(); k != 0 {
				t.Errorf("a program of the host got %d forged datagrams", k)
			}
			tr.Flow(t, 3, startTime) // nothing was disturbed
			i.Down(t)
			n.Same(t, before, "after down")
		})
	}
}

// A prober is the neighbour, who looks for the host's tunnel addresses.
type prober struct {
	net     *host.Network
	answers *netlab.Capture
	heard   *atomic.Int64 // datagrams that a program of the host got
}

// listenPort is that of the host's program.
const listenPort = 7777

func tunnelAddrs() []netip.Addr { return slices.Concat(host.Outer().Both(), host.Inner().Both()) }

func newProber(t *testing.T, n *host.Network) *prober {
	p := &prober{net: n, heard: new(atomic.Int64)}
	n.Host.ServeUDP(t, listenPort, func(b []byte, _ netip.AddrPort) []byte {
		p.heard.Add(1)
		return b
	})
	n.Host.ServeTCP(t, listenPort, func(net.Conn) {})
	p.answers = n.Neighbour.Capture(t, "eth0", netlab.CaptureOptions{Match: func(q *netlab.Packet) bool {
		if q.Outgoing {
			return false
		}
		if q.EtherType == netlab.EtherARP {
			return len(q.Data) >= 28 && slices.Contains(tunnelAddrs(), netip.AddrFrom4([4]byte(q.Data[14:])))
		}
		return !q.Neighbourly()
	}})
	return p
}

func (p *prober) forget() {
	time.Sleep(200 * time.Millisecond)
	p.answers.Reset()
	p.heard.Store(0)
}

// probe asks for each address, by way of the host and on the LAN itself.
func (p *prober) probe(t *testing.T) {
	t.Helper()
	for _, a := range tunnelAddrs() {
		bits, via := "/32", host.HostAddr().V4.String()
		if a.Is6() {
			bits, via = "/128", host.HostAddr().V6.String()
		}
		dst := a.String() + bits
		p.net.Neighbour.Via(via, dst)
		p.ask(a)
		p.forge(t, a)
		p.net.Neighbour.Unroute(dst, via)
		p.net.Neighbour.Onto("eth0", dst) // who has it? By ARP
		p.ask(a)
		p.net.Neighbour.Unroute(dst, "")
	}
	time.Sleep(200 * time.Millisecond)
}

// ask tries ICMP, TCP to an open and to a closed port, and UDP to both.
func (p *prober) ask(a netip.Addr) {
	const timeout = 300 * time.Millisecond
	_, _, _ = p.net.Neighbour.Ping(a, 1, 10, timeout)
	for _, port := range []uint16{listenPort, listenPort + 1} {
		to := netip.AddrPortFrom(a, port).String()
		_ = p.net.Neighbour.Do(func() error {
			if c, err := net.DialTimeout("tcp", to, timeout); err == nil {
				_ = c.Close()
			}
			c, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			_, err = c.Write([]byte("probe"))
			_ = c.Close()
			return err
		})
	}
}

// forge sends what looks like a site's.
func (p *prober) forge(t *testing.T, a netip.Addr) {
	t.Helper()
	site := host.Site(0).Of(a)
	b := netlab.Datagram(netip.AddrPortFrom(site, host.EchoPort), netip.AddrPortFrom(a, listenPort), []byte("forged"))
	if err := p.net.Neighbour.Send(b); err != nil {
		t.Fatal(err)
	}
}

// detector gives the host the addresses in the open, where it answers.
func (p *prober) detector(t *testing.T) {
	t.Helper()
	for _, a := range tunnelAddrs() {
		p.net.IP(t, "addr", "add", a.String(), "dev", "lo")
	}
	p.forget()
	p.probe(t)
	kinds := map[string]bool{"ARP": false, "ICMP": false, "TCP": false, "UDP": false, "ICMPv6": false}
	for _, q := range p.answers.Packets() {
		switch {
		case q.EtherType == netlab.EtherARP:
			kinds["ARP"] = true
		case q.Proto == netlab.ProtoICMP:
			kinds["ICMP"] = true
		case q.Proto == netlab.ProtoICMPv6:
			kinds["ICMPv6"] = true
		case q.Proto == netlab.ProtoTCP:
			kinds["TCP"] = true
		case q.Proto == netlab.ProtoUDP:
			kinds["UDP"] = true
		}
	}
	for kind, seen := range kinds {
		if !seen {
			t.Errorf("no answer by %s was seen: %s", kind, p.answers.Report())
		}
	}
	if p.heard.Load() < int64(2*len(tunnelAddrs())) {
		t.Errorf("the host's program heard %d datagrams", p.heard.Load())
	}
}
