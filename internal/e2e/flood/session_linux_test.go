package flood_test

import (
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
)

const (
	// full is the payload of a UDP packet of the inner hop's MTU.
	full = 1360 - 20 - 8

	// within is how soon after its relay's return a hop works again.
	within = 25 * time.Second
)

// TestNoSession sends packets of every size to a hop whose relay never
// answered.
func TestNoSession(t *testing.T) {
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	r.Exit.Stop()
	i := n.Run(t, twoHopChain(r))
	answers(t, n, patience, near())
	before, after := flood{
		net: n, on: i, bound: twoHops, beside: []goal{near()}, after: []goal{near()},
		senders: func(t *testing.T) []*sender {
			to := netip.AddrPortFrom(far().addr, sinkPort)
			return []*sender{
				send(t, n.Client, to, payload{sizes: []int{small}, segments: few, rate: 150_000}),
				send(t, n.Client, to, payload{sizes: []int{full}, segments: few, rate: 150_000}),
			}
		},
	}.run(t)
	read := after.Read - before.Read
	dropped := after.Hops[1].Drops["no_session"] - before.Hops[1].Drops["no_session"]
	t.Logf("%d packets read, %d dropped as no_session", read, dropped)
	if read < arrived {
		t.Errorf("%d packets were read from the TUN: no flood", read)
	}
	if dropped < read/2 {
		t.Errorf("%d of %d packets were dropped as no_session; all drops: %v", dropped, read, after.Hops[1].Drops)
	}
	r.Exit.Start()
	answers(t, n, within, far())
	answers(t, n, recovery, near(), far())
}
