// Package nat translates whole IP packets 1:1: one address becomes another of
// the same family, ports stay, nothing is remembered.
//
//	TUN 192.0.2.1 ──Source──▶ 10.64.0.7 hop      SNAT, outbound
//	TUN 192.0.2.1 ◀─Destination─ 10.64.0.7 hop   DNAT, inbound
//
// What the address change touches, and nothing else, is updated:
//
//	IPv4 header           address, header checksum
//	IPv6 header           address
//	TCP, UDP, UDP-Lite,   checksum (their pseudo-header holds the addresses),
//	DCCP, ICMPv6          in whole packets and first fragments
//	later fragments       nothing but the IP header
//	ICMP and ICMPv6       the quoted packet's address, header checksum and
//	errors                upper-layer checksum, as far as they are quoted, and
//	                      the ICMP checksum over all of it
//	SCTP, GRE, ESP, rest  nothing but the IP header
//
// Every checksum is updated incrementally (RFC 1624, Eqn. 3), never computed
// over the payload, so the cost does not depend on the packet's length, a
// wrong checksum stays wrong, and one that the sender left for an offload to
// complete must have been completed before (a Linux TUN's Read does that).
//
// A UDP checksum of 0, "none", stays 0, and no other becomes 0 (RFC 768). There
// is one exception, and the one place where a payload is summed: a whole
// datagram that carries 0 and whose checksum comes to 0 gets 0xffff, the same
// number, since wireguard-go's TUN writes 0 for it and IPv6 receivers discard
// that.
//
// What cannot be translated exactly gets a verdict, and its bytes stay as they
// were.
//
// Translating from a to b and back gives the packet byte for byte, but for
// checksums of 0xffff outside UDP and UDP-Lite: they come back as 0, the same
// number in one's complement, which no sender computes there, and for the UDP
// checksum of 0 above.
package nat
