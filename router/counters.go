package router

import "sync/atomic"

// A reason is the name under which a packet is dropped. The names are part of
// the status output: they are fixed here and nowhere else.
type reason uint8

const (
	delivered reason = iota // not a drop

	// Packets of either direction that cannot be parsed or translated.
	dropMalformed
	dropSourceRoute
	dropExtension
	dropShortFragment
	dropAH
	dropQuote

	// From the TUN.
	dropSource     // its source is not the TUN's address
	dropMulticast  // multicast or broadcast
	dropLinkPort   // its source port is one that a link of the hop uses
	dropNoRoute    // no prefix covers it: rejected
	dropRejected   // its route says reject
	dropDown       // its hop is down: rejected
	dropDownSilent // its hop is down, and its route says drop
	dropFamily     // its hop has no address of the family: rejected
	dropTooBig     // larger than the hop's MTU
	dropRingFull   // the hop's ring stayed full
	dropStale      // its route changed while it waited, or was being encrypted
	dropNoSession  // its peer has no session, and enough waits already
	dropNoPeer     // no peer of the hop has its destination in its AllowedIPs
	dropSendError  // the socket refused the batch, or a part of it: at most so many
	dropSegments   // super-packets of the TUN with more segments than there was room for, or such segments

	// From a link, on its way into the carrier.
	dropCarrierFull // the carrier's ring stayed full
	dropCarrierDown // the carrier does not run, or has no address of the family

	// From a hop.
	dropDestination  // not for this hop's address
	dropSpoof        // its source belongs to another hop, or to nobody
	dropLinkFull     // the link's queue was full
	dropLinkFragment // a fragment of a link's datagram that did not become whole
	dropLinkICMP     // an ICMP error about a link's datagram
	dropLinkClosed   // for a link that was closed a moment ago
	dropNoTUN        // no TUN is set
	dropTUNWrite     // the TUN refused the batch, or a part of it: at most so many

	// Packets that vanish inside wireguard-go: what entered at one seam and did
	// not leave at the other. Exact once idle.
	dropDeviceOut
	dropDeviceIn

	numReasons
)

// String returns the name of the counter.
func (d reason) String() string {
	return [numReasons]string{
		delivered:         "delivered",
		dropMalformed:     "malformed",
		dropSourceRoute:   "source_route",
		dropExtension:     "extension",
		dropShortFragment: "short_fragment",
		dropAH:            "ah",
		dropQuote:         "quote",
		dropSource:        "source",
		dropMulticast:     "multicast",
		dropLinkPort:      "link_port",
		dropNoRoute:       "no_route",
		dropRejected:      "rejected",
		dropDown:          "down",
		dropDownSilent:    "down_silent",
		dropFamily:        "family",
		dropTooBig:        "too_big",
		dropRingFull:      "ring_full",
		dropStale:         "stale",
		dropNoSession:     "no_session",
		dropNoPeer:        "no_peer",
		dropSendError:     "send_error",
		dropSegments:      "segments",
		dropCarrierFull:   "carrier_full",
		dropCarrierDown:   "carrier_down",
		dropDestination:   "destination",
		dropSpoof:         "spoof",
		dropLinkFull:      "link_full",
		dropLinkFragment:  "link_fragment",
		dropLinkICMP:      "link_icmp",
		dropLinkClosed:    "link_closed",
		dropNoTUN:         "no_tun",
		dropTUNWrite:      "tun_write",
		dropDeviceOut:     "device_out",
		dropDeviceIn:      "device_in",
	}[d]
}

// rejects reports whether the sender is told, by ICMP.
func (d reason) rejects() bool {
	return d == dropNoRoute || d == dropRejected || d == dropDown || d == dropFamily
}

// drops counts packets by reason. Safe for concurrent use.
type drops [numReasons]atomic.Uint64

func (d *drops) add(why reason, n int) {
	if n > 0 {
		d[why].Add(uint64(n))
	}
}

// snapshot returns the counters that are not zero, by name.
func (d *drops) snapshot() map[string]uint64 {
	m := make(map[string]uint64)
	for i := range d {
		if n := d[i].Load(); n > 0 {
			m[reason(i).String()] = n
		}
	}
	return m
}

// tally counts the drops of one batch, so that shared counters are written
// once per batch and reason. Not safe for concurrent use.
type tally [numReasons]uint32

func (t *tally) flush(d *drops) {
	for i, n := range t {
		if n > 0 {
			d[i].Add(uint64(n))
			t[i] = 0
		}
	}
}
