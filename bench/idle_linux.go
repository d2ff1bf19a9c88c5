package main

import (
	"net/netip"
	"time"
)

// silence is how long it is watched what programs do while they have nothing to do, and
// calm how long they had nothing to do before.
const (
	silence = 5 * time.Second
	calm    = 2 * time.Second
)

// silent notes what the threads of a subject did in a time without packets.
func (r *rounds) silent(k key, did threads, d time.Duration) {
	r.add(k, "silent, CPU", "ms/s", did.ran/1e6/d.Seconds())
	r.add(k, "silent, wake-ups", "per s", did.wakeUps/d.Seconds())
}

// idle measures round trips where nothing else happens, and what it costs that nothing
// happens. All subjects run, each in a network of its own, and pings take turns: the
// machine, whose speed changes from second to second, is in the same state for each of
// them.
func (r *rounds) idle(section int, one, two []subject) error {
	const name = "idle"
	return inLab(name, func(l *lab) {
		type pinged struct {
			key key
			c   *client
			p   *pinger
		}
		var all []pinged
		start := func(s subject, to netip.Addr, what string) {
			t := newTestbed(l, r.o.programs)
			c := s.start(l, t)
			l.Cleanup(c.stop)
			t.ready(l, c, to)
			p, err := newPinger(t.Client, to)
			if err != nil {
				l.Fatal(err)
			}
			l.Cleanup(p.close)
			all = append(all, pinged{key{Section: section, Case: name, Subject: s.name + what}, c, p})
		}
		for _, s := range one {
			start(s, near(), ", one hop")
		}
		for _, s := range two {
			start(s, far(), "")
		}
		for n := range max(r.o.least, 7) {
			r.o.progress("section %d, %s, round %d", section, name, n+1)
			time.Sleep(calm)
			before := make([]threads, len(all))
			for i, s := range all {
				before[i] = threadsOf(s.c.pids())
			}
			time.Sleep(silence)
			for i, s := range all {
				r.silent(s.key, threadsOf(s.c.pids()).minus(before[i]), silence)
			}
			rtts := make([][]float64, len(all))
			for end := time.Now().Add(r.o.pingTime * time.Duration(len(all))); time.Now().Before(end); {
				for i, s := range all {
					if rtt, ok := s.p.ping(32, time.Second); ok {
						rtts[i] = append(rtts[i], rtt.Seconds()*1000)
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
			for i, s := range all {
				r.add(s.key, "RTT p50", "ms", percentile(rtts[i], 0.5))
				r.add(s.key, "RTT p99", "ms", percentile(rtts[i], 0.99))
			}
			if time.Now().After(r.until) {
				return
			}
		}
	})
}
