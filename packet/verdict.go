package packet

// A Verdict is OK, or the name under which a packet is dropped.
type Verdict uint8

const (
	OK            Verdict = iota
	Malformed             // a length or a header contradicts the bytes
	SourceRoute           // IPv4 with a loose or strict source route
	Extension             // IPv6 extension headers that may not or cannot be followed
	ShortFragment         // a first fragment that ends inside its headers
	AH                    // IP Authentication Header: covers the addresses
	Quote                 // an ICMP error whose quoted packet cannot be translated
)

// String returns the verdict's name as counters show it.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Malformed:
		return "malformed"
	case SourceRoute:
		return "source_route"
	case Extension:
		return "extension"
	case ShortFragment:
		return "short_fragment"
	case AH:
		return "ah"
	case Quote:
		return "quote"
	}
	return "unknown"
}
