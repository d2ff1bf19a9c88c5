// Package path tests what crosses a chain besides datagrams that fit: large
// packets, fragments, and the ICMP errors that traceroute and path MTU discovery
// live on. Its network is that of package e2e, with two more hosts behind near
// and two behind far, so that each route ends at a target three routers away:
//
//	         outer tunnel          ┌────┐ 198.18.16.0/24 ┌────┐ 198.18.17.0/24 ┌────┐
//	client ═══════════════ entry ──┤near├────────────────┤    ├────────────────┤    │
//	   ║                     │     └────┘ .1          .2 └────┘ .1     .2, .10… └────┘
//	   ║ inner tunnel      exit ──┐
//	   ╚════════════════════════  │┌────┐ 198.18.32.0/24 ┌────┐ 198.18.33.0/24 ┌────┐
//	                              └┤far ├────────────────┤    ├────────────────┤    │
//	                               └────┘ .1          .2 └────┘ .1     .2, .10… └────┘
//
// The IPv6 networks are 2001:db8:16::/64 and so on. A target has many
// addresses, and each test its own, because kernels remember what they learned
// of a path by address. Some of the addresses are behind a narrower link.
package path
