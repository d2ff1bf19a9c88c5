package frag

// A Verdict is what became of a fragment: Held, Whole, or the name under which
// it is dropped.
type Verdict uint8

const (
	Held      Verdict = iota // kept: others are missing
	Whole                    // it completed its packet
	Duplicate                // exactly a fragment that is held
	Malformed                // empty, or its packet would have two lengths
	Tiny                     // splits the upper-layer header (RFC 1858)
	TooBig                   // its packet would be longer than a header can say
	Overlap                  // covers bytes that another fragment has (RFC 5722)
	Timeout                  // held, but the rest did not come in time; only in Stats
	Full                     // a bound is met: it made room for newer ones, found none, or is one of too many
	verdicts
)

// String returns the verdict's name as counters show it.
func (v Verdict) String() string {
	switch v {
	case Held:
		return "held"
	case Whole:
		return "whole"
	case Duplicate:
		return "duplicate"
	case Malformed:
		return "malformed"
	case Tiny:
		return "tiny"
	case TooBig:
		return "too_big"
	case Overlap:
		return "overlap"
	case Timeout:
		return "timeout"
	case Full:
		return "full"
	}
	return "unknown"
}
