// Package packet reads and writes IPv4 and IPv6 packets in place, as byte
// slices, without allocation.
//
// [Meta.Parse] locates the parts of a packet once; everything else works on
// the bytes and the Meta together:
//
//	b ─Parse─▶ Meta ─┬─ UDPPayload             datagram of a link
//	                 ├─ IsICMPError ─ Quoted   packet that an error is about
//	                 ├─ ClampMSS               SYN, both directions
//	                 └─ PutICMPError           answer to a packet that cannot pass
//
// Parse trusts no byte: version, header length, total length, options and
// extension headers are checked, in int arithmetic, before anything behind
// them is read. A packet is accepted only if what a translator must update is
// in it; if not, its [Verdict] names the reason. Checksums are not verified:
// they are updated incrementally (RFC 1624), so a wrong one stays wrong and
// the receiver drops the packet, as it would have without us.
//
// Headers: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP),
// RFC 792 and 4443 (ICMP), RFC 4884 (extended ICMP), RFC 1071 and 1624
// (checksums), RFC 7112 (first fragments hold the whole header chain).
//
// Nothing here keeps state; every function may be called concurrently on
// different packets.
package packet
