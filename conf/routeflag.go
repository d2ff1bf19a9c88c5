package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

// A RouteFlag is one --route [HOP=]PREFIX of the command line.
type RouteFlag struct {
	Hop    string // "": the innermost
	Prefix netip.Prefix
}

// ParseRouteFlag parses [HOP=]PREFIX. An address alone is a prefix of its full
// length; host bits are masked, as in AllowedIPs.
func ParseRouteFlag(s string) (RouteFlag, error) {
	var f RouteFlag
	text := s
	if i := strings.LastIndexByte(s, '='); i >= 0 { // a hop's name may have "="
		f.Hop, text = s[:i], s[i+1:]
		if f.Hop == "" {
			return RouteFlag{}, fmt.Errorf("--route %s: no hop before \"=\": want PREFIX or HOP=PREFIX", s)
		}
	}
	prefix, err := parsePrefix(strings.TrimSpace(text))
	if err != nil {
		return RouteFlag{}, fmt.Errorf("--route %s: %w", s, err)
	}
	f.Prefix = prefix.Masked()
	return f, nil
}

// String returns the flag's value.
func (f RouteFlag) String() string {
	if f.Hop == "" {
		return f.Prefix.String()
	}
	return f.Hop + "=" + f.Prefix.String()
}
