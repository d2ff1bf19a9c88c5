package path_test

import (
	"fmt"
	"net/netip"
	"testing"

	"multihop/internal/e2e"
)

// A running is a network with a running chain, which subtests share.
type running struct {
	*network
	*e2e.Instance
}

// deviceMTU is what the tests set the TUN's MTU to. The routes keep the MTUs of
// their hops, which ordinary packets obey. Larger ones, the router's to judge,
// are those of modes probe and device, and those that take a route of
// running.unbounded.
const deviceMTU = 1600

// TestPath runs everything but relays with unusual MTUs through one chain.
func TestPath(t *testing.T) {
	for _, endpoint := range families() {
		t.Run(endpoint.name+" endpoints", func(t *testing.T) {
			n := newNetwork(t)
			c := n.start(t, n.chain(endpoint.like))
			// An IPv6 route whose MTU is the device's follows it: let it be none's.
			n.Client.Sysctl("ipv6/conf/" + c.Name + "/mtu=1280")
			n.Client.SetMTU(c.Name, deviceMTU)
			for _, tt := range []struct {
				name string
				test func(*testing.T, *running, *side, family)
			}{
				{"traceroute", traceroute},
				{"ping", ping},
				{"tracepath", tracepath},
				{"narrow", narrow},
				{"filtered", withoutTooBig},
				{"fragments", fragments},
				{"refused", refused},
				{"zero checksums", zeroChecksums},
				{"sizes", sizes},
			} {
				t.Run(tt.name, func(t *testing.T) {
					for _, s := range n.sides() {
						for _, f := range families() {
							t.Run(fmt.Sprintf("%s, %s", s.hop, f.name), func(t *testing.T) {
								tt.test(t, c, s, f)
							})
						}
					}
				})
			}
		})
	}
}

// unbounded routes addr into the TUN, without an MTU.
func (c *running) unbounded(addr netip.Addr) {
	c.Client.Onto(c.Name, netip.PrefixFrom(addr, addr.BitLen()).String())
}

// mtu is the MTU of the side's hop, as `multihop show --json` says it.
func (c *running) mtu(t *testing.T, s *side) int {
	t.Helper()
	return c.Hop(t, s.hop).MTU
}
