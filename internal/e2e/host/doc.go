// Package host tests what multihop does to the host that it runs on: `up`,
// `down`, `reload`, and a process that is killed. The package itself is the
// laboratory that its tests and those of its neighbours share:
//
//	             172.16.5.0/24          LAN 192.168.7.0/24
//	guest .2 ───────────────── .1 host .2 ──┐ (switch)
//	(the host forwards for it)              ├── .1 internet ── .10 entry  198.51.100.0/25
//	                       neighbour .66 ───┘        │
//	                                                 └── .130 exit 198.51.100.128/25
//
// The host internet is the LAN's router and all the sites of the world: it
// answers for every address of 203.0.113.0/24 and for a few public resolvers.
// Entry and exit are wireguard-go relays, nested as in package e2e: the outer
// tunnel is 10.64.0.0/24, the inner one 10.65.0.0/24. Each network has an IPv6
// prefix too. Nobody but the host, for its guest, translates addresses, and
// everybody has routes to everybody: a packet that leaves in clear is answered,
// so that it goes on leaking.
//
// The host has files and processes of its own (netlab's Machine). [Traffic] of
// every kind runs from it and from the guest all the time; the [Uplink] is
// watched, and what leaves in clear is reported by kind and moment.
package host
