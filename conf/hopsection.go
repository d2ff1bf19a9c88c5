package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// hopFields returns the keys of [Hop]: its own, then those that a wg-quick file
// would have in [Interface].
func hopFields() []field {
	fields := []field{
		{"Name", true, (*parser).setHopName},
		{"Via", false, (*parser).addVia},
		{"Config", false, (*parser).addConfigs},
		{"Routes", false, (*parser).addRoutes},
		{"OnDown", true, (*parser).setOnDown},
		{"Group", true, (*parser).setGroup},
		{"Probe", true, (*parser).setProbe},
	}
	fields = append(fields, paceFields()...)
	fields = append(fields, field{"Fragment", true, (*parser).setFragment})
	for _, f := range interfaceFields() {
		if slices.Contains(inlineKeys(), f.key) {
			fields = append(fields, f)
		}
	}
	return fields
}

// inlineKeys returns the keys of a wg-quick file's [Interface] that [Hop] has,
// too. The others are settings of the instance.
func inlineKeys() []string { return []string{"PrivateKey", "ListenPort", "Address", "DNS", "MTU"} }

// parseHopName refuses the words that stand where a hop's name can.
func parseHopName(s string) (string, error) {
	if !isHopName(s) {
		return "", fmt.Errorf("%s is not a name: want 1 to %d of a-z, A-Z, 0-9 and _=+.-", shown(s), maxName)
	}
	switch strings.ToLower(s) {
	case "off", "via", "none", "reject", "drop":
		return "", fmt.Errorf("%s is a word of profiles: choose another name", s)
	}
	return s, nil
}

func (p *parser) setHopName(v value) (err error) {
	p.hop().name, err = parseHopName(v.text)
	return err
}

func (p *parser) setGroup(v value) (err error) {
	p.hop().group, err = parseHopName(v.text)
	return err
}

func (p *parser) addVia(v value) error {
	h := p.hop()
	for _, s := range list(v.text) {
		name, err := parseHopName(s)
		if err != nil {
			return err
		}
		if slices.Contains(h.via, name) {
			return fmt.Errorf("%s is listed twice", name)
		}
		if len(h.via) == maxVias {
			return fmt.Errorf("more than %d hops", maxVias)
		}
		h.via = append(h.via, name)
	}
	return nil
}

// addConfigs splits on commas alone: the names of files have spaces.
func (p *parser) addConfigs(v value) error {
	h := p.hop()
	for s := range strings.SplitSeq(v.text, ",") {
		s = strings.TrimSpace(s)
		if err := p.profile.checkFile(s); err != nil {
			return err
		}
		if slices.Contains(h.configs, s) {
			return fmt.Errorf("%s is listed twice", shown(s))
		}
		if len(h.configs) == maxConfigs {
			return fmt.Errorf("more than %d files", maxConfigs)
		}
		h.configs = append(h.configs, s)
	}
	return nil
}

// checkFile checks a path in a profile: it stays in the profile's folder.
func (p *profile) checkFile(path string) error {
	switch {
	case path == "":
		return errors.New("no file")
	case hasKey(path), hasKey(hopName(path)):
		return errors.New("not a file (not repeated here: it could be a key)")
	case strings.ContainsFunc(path, unicode.IsControl):
		return fmt.Errorf("%s is no file's name: it has a control character", shown(path))
	case p.loose && !filepath.IsAbs(path):
		return fmt.Errorf("%s: want an absolute path: this profile is in no folder", shown(path))
	case !p.loose && !filepath.IsLocal(path):
		return fmt.Errorf("%s leaves the profile's folder, %s: put the file there, or a link to it", shown(path), filepath.Dir(p.path))
	}
	return nil
}

// beside returns the path of a file that the profile at path names.
func beside(path, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}

// addRoutes parses prefixes, @file and none. Only the size of a profile bounds
// their number.
func (p *parser) addRoutes(v value) error {
	h := p.hop()
	for _, s := range splitRoutes(v.text) {
		none := strings.EqualFold(s, "none")
		if h.routes != nil && (none || len(h.routes) == 0) {
			return errors.New("none stands alone")
		}
		if none {
			h.routes = []routeSpec{} // not nil: given
			continue
		}
		route, err := p.parseRoute(s)
		if err != nil {
			return err
		}
		h.routes = append(h.routes, route)
	}
	if h.routes == nil {
		return errors.New("no prefixes: write none for a hop that only carries others")
	}
	return nil
}

func (p *parser) parseRoute(s string) (routeSpec, error) {
	if file, ok := strings.CutPrefix(s, "@"); ok {
		return routeSpec{file: file, line: p.line}, p.profile.checkFile(file)
	}
	prefix, err := parsePrefix(s)
	if err != nil {
		return routeSpec{}, err
	}
	if prefix != prefix.Masked() {
		p.warn(p.line, "Routes", "%s has host bits: read as %s", prefix, prefix.Masked())
	}
	return routeSpec{prefix: prefix.Masked(), line: p.line}, nil
}

// splitRoutes is list, but that an entry which starts with "@" ends only at a
// comma.
func splitRoutes(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		head, file, isFile := strings.Cut(part, "@")
		out = append(out, list(head)...)
		if isFile {
			out = append(out, "@"+strings.TrimSpace(file))
		}
	}
	return out
}

// What OnDown may say instead of a name.
const (
	onDownReject = "reject"
	onDownDrop   = "drop"
)

func (p *parser) setOnDown(v value) error {
	switch s := strings.ToLower(v.text); s {
	case onDownReject, onDownDrop:
		p.hop().onDown = s
		return nil
	}
	if !isHopName(v.text) {
		return fmt.Errorf("%s is neither reject, nor drop, nor a hop's name", shown(v.text))
	}
	p.hop().onDown = v.text
	return nil
}

func (p *parser) setProbe(v value) error {
	a, err := netip.ParseAddr(v.text)
	if err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		return fmt.Errorf("%s is not the address of a host behind the hop", shown(v.text))
	}
	p.hop().probe = a
	return nil
}

func (p *parser) setFragment(v value) (err error) {
	p.hop().fragment, err = parseChoice(v.text, "yes", "no")
	return err
}
