// Package memnet is an internet in memory, for the demo, for examples and for
// tests. Its packets are real IP packets, its relays are real WireGuard devices,
// its sites real TCP/IP stacks; only the wires are function calls.
//
//	client ── Bind ──┐            ┌── Relay entry ── Bind (its public address)
//	                 │            │        └──────── its clients' tunnel addresses
//	                 └──── Net ───┼── Relay exit ...
//	             longest prefix   └── Site, an HTTP server
//
// A Net gives each packet to the host with the longest prefix of its
// destination. Nothing in it waits: every host has bounded queues that drop,
// and counts. There is no translation: a relay forwards what it decapsulates
// with the client's tunnel address as its source, and the Net knows which relay
// that address belongs to. So two relays cannot have clients of one address.
//
// What each host sent and received can be counted and tapped: proofs are read
// there, not at the client.
package memnet
