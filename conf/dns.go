package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// A DNS is one entry of a DNS setting, as written. Whether a Name is a hop's or
// a search domain shows only beside the hops.
type DNS struct {
	Addr netip.Addr // a resolver; not valid: the entry is a Name, or Off
	Via  string     // the hop that carries Addr; "": the one that its routes name
	Name string     // a hop, whose file's DNS is meant, or a search domain
	Off  bool       // nothing is set
	Line int        // in the profile; 0: a flag
}

// String returns the entry in the form of a profile.
func (d DNS) String() string {
	switch {
	case d.Off:
		return "off"
	case !d.Addr.IsValid():
		return d.Name
	case d.Via == "":
		return d.Addr.String()
	}
	return d.Addr.String() + " via " + d.Via
}

func (s *Settings) addDNS(v value) error {
	entries, err := parseDNS(v.text, v.line)
	if err != nil {
		return err
	}
	s.DNS = append(s.DNS, entries...)
	if len(s.DNS) > maxDNS {
		return fmt.Errorf("more than %d entries", maxDNS)
	}
	for _, d := range s.DNS {
		if d.Off && len(s.DNS) > 1 {
			return errors.New("off stands alone")
		}
	}
	return nil
}

// parseDNS parses a list of entries, split on commas and spaces. "via" and the
// hop that follows it belong to the address before.
func parseDNS(text string, line int) ([]DNS, error) {
	var entries []DNS
	words := list(text)
	for i := 0; i < len(words); i++ {
		d, err := parseResolver(words[i])
		if err != nil {
			return nil, err
		}
		d.Line = line
		if d.Addr.IsValid() && i+1 < len(words) && strings.EqualFold(words[i+1], "via") {
			if i+2 == len(words) || !isHopName(words[i+2]) {
				return nil, fmt.Errorf("%s via: want the name of a hop after it", d.Addr)
			}
			d.Via = words[i+2]
			i += 2
		}
		entries = append(entries, d)
	}
	return entries, nil
}

// parseResolver tells addresses from names as wg-quick does.
func parseResolver(s string) (DNS, error) {
	switch {
	case strings.EqualFold(s, "off"):
		return DNS{Off: true}, nil
	case strings.EqualFold(s, "via"):
		return DNS{}, errors.New("via stands after an address: ADDRESS via HOP")
	case strings.Contains(s, ":") || strings.Trim(s, "0123456789.") == "":
		a, err := parseAddr(s)
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return DNS{}, fmt.Errorf("%s is not the address of a resolver behind a hop", shown(s))
		}
		return DNS{Addr: a.Unmap()}, nil
	case !isHopName(s) && !isName(strings.TrimPrefix(s, "~")):
		return DNS{}, fmt.Errorf("%s is neither an address, nor a hop, nor a search domain", shown(s))
	}
	return DNS{Name: s}, nil
}
