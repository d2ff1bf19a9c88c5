package main

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// Sizes of a tower's layers, in bytes.
const (
	wireMTU     = 1500
	layerCost   = 60   // what a layer adds to a packet that fills its MTU
	fragmentMTU = 1280 // of every layer, where links fragment
)

// deepest is the number of layers that 1500 bytes hold: TCP needs packets of 88.
const deepest = 23

// A tower is two hosts and a wire, with WireGuard inside WireGuard between them,
// by what is measured. Layer 0 is the wire; layer k has the network 10.100.k.0/24.
type tower struct {
	*netlab.Lab
	client, server *netlab.Host
	programs       *e2e.Programs
	sink           *sink
	fragments      bool
	clientKeys     []netlab.Key // by layer, from 1
	serverKeys     []netlab.Key
}

func layerAddr(k int, host byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 100, byte(k), host}) }

func port(k int) uint16 { return uint16(51820 + k) }

func (t *tower) mtu(k int) int {
	if t.fragments {
		return fragmentMTU
	}
	return wireMTU - k*layerCost
}

// newTower builds the hosts, and keys for n layers.
func newTower(l *lab, p *e2e.Programs, n int, fragments bool) *tower {
	t := &tower{Lab: netlab.New(l), programs: p, fragments: fragments, clientKeys: make([]netlab.Key, n+1), serverKeys: make([]netlab.Key, n+1)}
	t.client, t.server = t.Host("client"), t.Host("server")
	t.Wire(t.client, "eth0", t.server, "eth0")
	t.client.Addr("eth0", "10.100.0.2/24")
	t.server.Addr("eth0", "10.100.0.1/24")
	for _, h := range []*netlab.Host{t.client, t.server} {
		h.Sysctl("ipv4/tcp_no_metrics_save=1")
	}
	for k := 1; k <= n; k++ {
		t.clientKeys[k], t.serverKeys[k] = netlab.NewKey(), netlab.NewKey()
	}
	t.server.ServeTarget(l)
	t.sink = startSink(l, t.server)
	return t
}

// An end is one side of every layer.
type end struct {
	host  *netlab.Host
	side  byte // the last of its addresses' bytes
	keys  []netlab.Key
	peers []netlab.Key
}

func (t *tower) near() end { return end{t.client, 2, t.clientKeys, t.serverKeys} }
func (t *tower) far() end  { return end{t.server, 1, t.serverKeys, t.clientKeys} }

// across is the other end's address in a layer, whose endpoint is its address in
// the layer below.
func (e end) across(k int) netip.Prefix     { return netip.PrefixFrom(layerAddr(k, 3-e.side), 32) }
func (e end) endpoint(k int) netip.AddrPort { return netip.AddrPortFrom(e.across(k-1).Addr(), port(k)) }

// nested starts n wireguard-go processes at an end, each inside the one before.
func (t *tower) nested(l *lab, e end, n int) *client {
	c := new(client)
	for k := 1; k <= n; k++ {
		to := []netip.Prefix{e.across(k)}
		c.processes = append(c.processes, e.host.StartTunnel(l, t.programs.WireGuardGo, netlab.TunnelConfig{
			Name: t.Unique(fmt.Sprintf("%s%d", e.host.Name[:1], k)), PrivateKey: e.keys[k], ListenPort: port(k), MTU: t.mtu(k),
			Addrs: []netip.Prefix{netip.PrefixFrom(layerAddr(k, e.side), 32)}, Routes: to,
			Peers: []netlab.TunnelPeer{{PublicKey: e.peers[k].Public(), Endpoint: e.endpoint(k), AllowedIPs: to}},
		}).Process)
	}
	return c
}

// multihop starts a chain of n hops at an end.
func (t *tower) multihop(l *lab, b build, e end, n int) *client {
	dir := l.TempDir()
	var files []string
	for k := 1; k <= n; k++ {
		file := &e2e.Conf{PrivateKey: e.keys[k], Addrs: []netip.Addr{layerAddr(k, e.side)}, ListenPort: int(port(k)), Peers: []e2e.ConfPeer{{
			PublicKey: e.peers[k].Public(), Endpoint: e.endpoint(k), AllowedIPs: []string{e.across(k).String()},
		}}}
		if k == 1 { // others derive theirs from their carrier's
			file.MTU = wireMTU - layerCost
		}
		files = append(files, file.Write(l, dir, fmt.Sprintf("layer%d.conf", k)))
	}
	var flags []string
	if t.fragments {
		flags = []string{"--fragment"}
	}
	return b.run(l, t.Lab, e.host, t.programs, files, []string{e.across(n).String()}, flags...)
}

// layers measures towers: of multihop's chains, of nested wireguard-go, and of one
// at the near end and the other at the far one.
func (r *rounds) layers(section int, counts []int, builds []build, fragments bool) error {
	if len(counts) == 0 {
		return nil
	}
	name := "layers"
	if fragments {
		name = "layers, fragmenting"
	}
	return inLab(name, func(l *lab) {
		t := newTower(l, r.o.programs, slices.Max(counts), fragments)
		nested := func(l *lab, e end, n int) *client { return t.nested(l, e, n) }
		subjects := []layered{{"nested wireguard-go", nested, nested}}
		for _, b := range builds {
			chain := func(l *lab, e end, n int) *client { return t.multihop(l, b, e, n) }
			subjects = append(subjects, layered{b.name, chain, chain}, layered{b.name + ", nested far end", chain, nested})
		}
		var cases []string
		for _, n := range counts {
			cases = append(cases, layersCase(n))
		}
		begun := time.Now()
		for round := range max(r.o.most, r.o.layerRounds) {
			for _, n := range counts {
				if time.Now().After(r.until) {
					r.o.progress("no time for %d layers: see -limit", n)
					return
				}
				for i := range subjects {
					s := subjects[i]
					if round%2 == 1 {
						s = subjects[len(subjects)-1-i]
					}
					r.o.progress("section %d, %s: %d, round %d: %s", section, name, n, round+1, s.name)
					if err := l.sub(func(l *lab) { r.layer(section, l, t, s, n, round == 0) }); err != nil {
						r.o.progress("%v", err)
					}
				}
			}
			if round+1 >= r.o.layerRounds && r.rec.settled(section, cases, throughput+" up", throughput+" down") || r.enough(round+1, begun) {
				return
			}
		}
	})
}

func layersCase(n int) string { return fmt.Sprintf("%d layers", n) }

// A layered is what runs at either end of a tower.
type layered struct {
	name      string
	near, far func(l *lab, e end, n int) *client
}

// layer measures n layers: whether they work (a ping of 32 bytes and a hashed
// MiB), and how well; the first time also the largest payload, and the cost of
// silence.
func (r *rounds) layer(section int, l *lab, t *tower, s layered, n int, first bool) {
	k := key{Section: section, Case: layersCase(n), Subject: s.name}
	works := 0.0
	defer func() { r.add(k, "works", "", works) }()
	defer s.far(l, t.far(), n).stop()
	begun := time.Now()
	c := s.near(l, t.near(), n)
	defer c.stop()
	top := layerAddr(n, 1)
	p, err := newPinger(t.client, top)
	if err != nil {
		l.Fatal(err)
	}
	defer p.close()
	if !p.wait(20 * time.Second) {
		l.Logf("%s: %d layers: no answer", s.name, n)
		return
	}
	r.add(k, "from start to answer", "ms", time.Since(begun).Seconds()*1000)
	r.add(k, "RSS idle", "MiB", rss(c.pids(), "VmRSS"))
	if first {
		time.Sleep(calm)
		before := threadsOf(c.pids())
		time.Sleep(silence)
		r.silent(k, threadsOf(c.pids()).minus(before), silence)
	}
	if _, err := t.client.Upload(top, 1<<20, 90*time.Second); err != nil {
		l.Logf("%s: %d layers: %v", s.name, n, err)
		return
	}
	works = 1
	r.add(k, "RTT p50", "ms", percentile(p.rtts(r.o.pingTime), 0.5))
	if first && !t.fragments {
		r.add(k, "largest payload", "bytes", float64(p.largest(wireMTU)))
	}
	for _, up := range []bool{true, false} {
		done, err := t.sink.transfer(t.client, top, up, 1, min(r.o.transferTime, 2*time.Second))
		if err != nil {
			l.Fatal(err)
		}
		way := map[bool]string{true: " up", false: " down"}[up]
		r.add(k, throughput+way, "Mbit/s", done.mbps())
		r.add(k, retrans+way, "per MiB", float64(done.retrans)/(done.gib()*1024))
	}
	r.add(k, peakRSS, "MiB", rss(c.pids(), "VmHWM"))
}
