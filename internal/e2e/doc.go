// Package e2e tests the built binary, `multihop run`, against wireguard-go
// relays in network namespaces. The package itself is the network that the
// tests of this folder and of those below share:
//
//	                 lan (switch)              entry                  exit
//	client .2 ──┐   192.0.2.0/24   ┌─── .1 ┌──────────┐ .1 ─── .2 ┌──────────┐
//	            ├──────────────────┤       │ relay    │ 198.51.   │ relay    │
//	other .66 ──┘                          │ :51820   │ 100.0/24  │ :51821   │
//	                                       └────┬─────┘           └────┬─────┘
//	                                        .1  │ 203.0.113.0/25   .129│ 203.0.113.128/25
//	                                        .2 near                .130 far
//
// Each network has an IPv6 prefix too. The tunnel to the entry is the outer
// one, 10.64.0.0/24; the tunnel to the exit is the inner one, 10.65.0.0/24, and
// the entry forwards its datagrams. No relay translates addresses: near and far
// see which tunnel a packet came out of. And every network has routes to every
// other one, so that a packet on a wrong way arrives, with a source address
// that tells, instead of getting lost.
package e2e
