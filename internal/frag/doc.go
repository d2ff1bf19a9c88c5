// Package frag puts fragmented IP packets together again, and cuts packets
// into fragments.
//
// Hosts and routers below may fragment what a carrier's tunnel delivers to a
// link; the link needs its datagrams whole:
//
//	fragment ─Add─▶ Held        kept until the rest is there
//	           ├──▶ Whole       the packet, as if it had never been cut ─▶ link ─▶ Release
//	           └──▶ a drop      under one name, with all that was held of it
//
// A Reassembler is for hostile input. What it holds is bounded in number,
// bytes and age; the oldest make room for the newest. Fragments that overlap
// discard their whole packet (RFC 5722), though exact duplicates, which
// networks make, are ignored (RFC 8200, section 4.5). Fragments that split an
// upper-layer header are refused (RFC 1858, 3128), and so are packets that
// would exceed the length that a header can state.
//
// The reassembled header is the first fragment's, its ECN field too: unlike
// RFC 3168, section 5.3, asks, a congestion mark on a later fragment is lost.
// That is of no account here, for a link strips the header.
//
// [Split4] and [Split6] go the other way, for routes narrower than a packet
// that may be cut, and for links that fragment. What they make, Add joins to
// the same bytes.
package frag
