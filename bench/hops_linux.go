package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A rounds measures subjects in turn, round after round.
type rounds struct {
	o     *options
	rec   *record
	until time.Time // no round of the section may end later
}

// enough reports whether there is no time for another round like those n which
// began then.
func (r *rounds) enough(n int, begun time.Time) bool {
	late := time.Now().Add(time.Since(begun) / time.Duration(n)).After(r.until)
	if late {
		r.o.progress("no time for more than %d rounds: see -limit", n)
	}
	return late
}

// Metrics of a transfer, with the way of the data behind them.
const (
	throughput = "throughput"
	clientCPU  = "client CPU"
	relayCPU   = "relay CPU"
	yardstick  = "client/relay CPU"
	retrans    = "retransmissions"
	wakeUps    = "wake-ups"
	peakRSS    = "peak RSS"
)

// hops measures one or two hops: transfers up and down, the processor's time
// and memory.
func (r *rounds) hops(section int, name string, subjects []subject, target netip.Addr) error {
	return inLab(name, func(l *lab) {
		t := newTestbed(l, r.o.programs)
		r.alternate(section, l, subjects, func(l *lab, s subject, n int) {
			begun := time.Now()
			c := s.start(l, t)
			defer c.stop()
			k := key{Section: section, Case: name, Subject: s.name}
			t.ready(l, c, target)
			r.add(k, "from start to answer", "ms", time.Since(begun).Seconds()*1000)
			t.warm(l, c, target)
			for _, up := range []bool{n%2 == 0, n%2 != 0} { // neither way always profits
				r.transfer(l, t, c, k, target, up, 1)
			}
			r.add(k, peakRSS, "MiB", rss(c.pids(), "VmHWM"))
			r.drops(k, c)
		}, throughput+" up", throughput+" down", yardstick+" up", yardstick+" down")
	})
}

// drops notes what a multihop says that it dropped.
func (r *rounds) drops(k key, c *client) {
	if c.drops == nil {
		return
	}
	all := c.drops()
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		r.add(k, "drops, "+reason, "packets", all[reason])
	}
}

// alternate calls measure with each subject, round after round, each in a lab of
// its own, until the medians of those metrics settle. An odd round goes backwards.
func (r *rounds) alternate(section int, l *lab, subjects []subject, measure func(l *lab, s subject, round int), metrics ...string) {
	begun := time.Now()
	for n := range r.o.most {
		for i := range subjects {
			s := subjects[i]
			if n%2 == 1 {
				s = subjects[len(subjects)-1-i]
			}
			r.o.progress("section %d, %s, round %d: %s", section, l.name, n+1, s.name)
			if err := l.sub(func(l *lab) { measure(l, s, n) }); err != nil {
				l.Fatalf("%s: %v", s.name, err)
			}
		}
		if n+1 >= r.o.least && r.rec.settled(section, nil, metrics...) || r.enough(n+1, begun) {
			return
		}
	}
}

func (r *rounds) add(k key, metric, unit string, v float64) {
	k.Metric, k.Unit = metric, unit
	r.rec.add(k, v)
}

// warm moves data for a second, and throws the figures away: the first transfer
// makes buffers.
func (t *testbed) warm(l *lab, c *client, target netip.Addr) {
	if _, err := t.sink[target].transfer(t.Client, target, false, 1, time.Second); err != nil {
		l.Fatalf("%v; output of the client:\n%s", err, c.output())
	}
}

// transfer measures one transfer.
func (r *rounds) transfer(l *lab, t *testbed, c *client, k key, target netip.Addr, up bool, flows int) {
	way := " down"
	if up {
		way = " up"
	}
	relay := []int{t.relays.Entry.Process.PID()}
	ours, theirs, woken := cpu(c.pids()), cpu(relay), threadsOf(c.pids())
	done, err := t.sink[target].transfer(t.Client, target, up, flows, r.o.transferTime)
	if err != nil {
		l.Fatalf("%v; output of the client:\n%s", err, c.output())
	}
	ours, theirs, woken = cpu(c.pids())-ours, cpu(relay)-theirs, threadsOf(c.pids()).minus(woken)
	r.add(k, throughput+way, "Mbit/s", done.mbps())
	r.add(k, clientCPU+way, "s/GiB", ours.Seconds()/done.gib())
	r.add(k, relayCPU+way, "s/GiB", theirs.Seconds()/done.gib())
	r.add(k, yardstick+way, "", ours.Seconds()/theirs.Seconds())
	r.add(k, retrans+way, "per GiB", float64(done.retrans)/done.gib())
	r.add(k, wakeUps+way, "per MiB", woken.wakeUps/(done.gib()*1024))
}

// rtts are round trips to the target in milliseconds.
func (t *testbed) rtts(l *lab, target netip.Addr, d time.Duration) []float64 {
	p, err := newPinger(t.Client, target)
	if err != nil {
		l.Fatal(err)
	}
	defer p.close()
	return p.rtts(d)
}

// detail measures what section 2 does not: round trips under load, many flows,
// small packets, a fixed rate.
func (r *rounds) detail(section int, name string, subjects []subject, target netip.Addr) error {
	return inLab(name, func(l *lab) {
		t := newTestbed(l, r.o.programs)
		r.alternate(section, l, subjects, func(l *lab, s subject, _ int) {
			c := s.start(l, t)
			defer c.stop()
			k := key{Section: section, Case: name, Subject: s.name}
			t.ready(l, c, target)
			r.add(k, "RSS idle", "MiB", rss(c.pids(), "VmRSS"))
			t.warm(l, c, target)
			r.loaded(l, t, k, target)
			for _, flows := range r.o.flows {
				k.Case = fmt.Sprintf("%s, %d flows", name, flows)
				for _, up := range []bool{true, false} {
					r.transfer(l, t, c, k, target, up, flows)
				}
			}
			k.Case = name
			r.datagrams(l, t, c, k, target)
			r.add(k, peakRSS, "MiB", rss(c.pids(), "VmHWM"))
			r.drops(k, c)
		}, "small packets", "RTT loaded p50")
	})
}

// loaded pings while data goes up.
func (r *rounds) loaded(l *lab, t *testbed, k key, target netip.Addr) {
	done := make(chan error, 1)
	go func() {
		_, err := t.sink[target].transfer(t.Client, target, true, 1, r.o.pingTime+time.Second)
		done <- err
	}()
	time.Sleep(500 * time.Millisecond) // slow start
	all := t.rtts(l, target, r.o.pingTime)
	if err := <-done; err != nil {
		l.Fatal(err)
	}
	r.add(k, "RTT loaded p50", "ms", percentile(all, 0.5))
	r.add(k, "RTT loaded p99", "ms", percentile(all, 0.99))
}

// datagrams sends small packets as fast as they go, and larger ones at a rate.
func (r *rounds) datagrams(l *lab, t *testbed, c *client, k key, target netip.Addr) {
	const (
		small = 64 - 28   // bytes of payload of a packet of 64
		large = 1300 - 28 // fits two hops
	)
	// The entry joins what it decapsulates, a veth carries that whole, and
	// wireguard-go at the exit gives up when it gets more than 64 datagrams at
	// once: no cable would do that to it.
	t.Entry.LimitSuperPackets("eth1", 64*small)
	defer t.Entry.LimitSuperPackets("eth1", 1<<16)
	before := cpu(c.pids())
	s, err := t.counter[target].send(t.Client, target, small, 0, r.o.flood)
	if err != nil {
		l.Fatal(err)
	}
	r.add(k, "small packets, offered", "packets/s", float64(s.sent)/s.took.Seconds())
	r.add(k, "small packets", "packets/s", float64(s.got)/s.took.Seconds())
	r.add(k, "small packets, CPU", "us/packet", (cpu(c.pids())-before).Seconds()*1e6/float64(max(s.got, 1)))
	r.add(k, "small packets, peak RSS", "MiB", rss(c.pids(), "VmHWM"))
	rate := r.o.udpRate * 1e6 / 8 / (large + 28)
	if s, err = t.counter[target].send(t.Client, target, large, rate, r.o.transferTime); err != nil {
		l.Fatal(err)
	}
	r.add(k, fmt.Sprintf("UDP at %.0f Mbit/s, loss", r.o.udpRate), "%", s.loss())
}
