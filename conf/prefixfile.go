package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Limits of a file of prefixes.
const (
	maxPrefixFile   = 64 << 20 // bytes
	maxFilePrefixes = 4 << 20
)

// loadPrefixes reads a file of prefixes, one a line, with "#" for comments. It
// calls reserve with a bound of their number, then add with each, masked. The
// errors are *Error, of one line each.
func loadPrefixes(path string, reserve func(n int), add func(netip.Prefix) error) (*Warning, error) {
	file, info, err := open(path, "file of prefixes")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	if err := checkWritable(path, info); err != nil {
		return nil, &Error{File: path, Err: err}
	}
	text, err := readText(path, file, info.Size(), maxPrefixFile, "file of prefixes")
	if err != nil {
		return nil, err
	}
	reserve(min(strings.Count(text, "\n")+1, maxFilePrefixes))
	return parsePrefixes(path, text, add)
}

func parsePrefixes(path, text string, add func(netip.Prefix) error) (*Warning, error) {
	number, count, masked := 0, 0, 0
	var first Warning
	for line := range strings.Lines(text) {
		number++
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		bad := func(err error) error { return &Error{File: path, Line: number, Err: err} }
		prefix, err := parsePrefix(line)
		if err != nil {
			return nil, bad(err)
		}
		if count++; count > maxFilePrefixes {
			return nil, bad(fmt.Errorf("more than %d prefixes in one file", maxFilePrefixes))
		}
		if p := prefix.Masked(); p != prefix {
			if masked++; masked == 1 {
				first = Warning{File: path, Line: number, Text: fmt.Sprintf("%s has host bits: read as %s", prefix, p)}
			}
			prefix = p
		}
		if err := add(prefix); err != nil {
			return nil, bad(err)
		}
	}
	switch {
	case count == 0:
		return nil, &Error{File: path, Err: errors.New("no prefixes: want one a line")}
	case masked == 0:
		return nil, nil
	}
	first.Text += andMore(masked - 1)
	return &first, nil
}

// giveRoutes gives each target the Routes of its [Hop], with those of files.
func (t *tree) giveRoutes(c *Instance) error {
	for _, x := range t.targets {
		for i, m := range x.members {
			if m.spec.routes == nil || i > 0 && m.spec == x.members[i-1].spec {
				continue
			}
			for _, b := range x.branches {
				b.explicit = true
			}
			for _, r := range m.spec.routes {
				if err := t.giveRoute(c, x, r); err != nil {
					return err
				}
			}
		}
		for _, b := range x.branches {
			if b.explicit {
				b.routes = slices.Compact(sortPrefixes(b.routes))
			}
		}
	}
	return nil
}

func (t *tree) giveRoute(c *Instance, x *target, r routeSpec) error {
	if r.file == "" {
		if err := x.addRoute(r.prefix); err != nil {
			return &Error{File: t.path, Line: r.line, Section: "Hop", Key: "Routes", Err: err}
		}
		return nil
	}
	path := beside(t.path, r.file)
	if !slices.Contains(c.Files, path) {
		c.Files = append(c.Files, path)
	}
	warning, err := loadPrefixes(path, func(n int) {
		x.branches[0].routes = slices.Grow(x.branches[0].routes, n)
	}, x.addRoute)
	if warning != nil {
		c.Warnings = append(c.Warnings, *warning)
	}
	return err
}

// addRoute gives p to the branch whose AllowedIPs have it.
func (x *target) addRoute(p netip.Prefix) error {
	b := x.branchOf(p)
	if !b.allows(p) {
		return fmt.Errorf("%s is outside the AllowedIPs of %s: WireGuard would drop its packets", p, x.name)
	}
	b.routes = append(b.routes, p)
	return nil
}
