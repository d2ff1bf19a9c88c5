package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
)

// Limits of one profile.
const (
	maxHops    = 256
	maxConfigs = 16 // of one group
	maxVias    = 16
)

// A profile is one parsed profile. Nothing that it names has been looked at.
type profile struct {
	path     string
	name     string
	settings Settings
	lines    map[string]int // of each key of [Interface]
	hops     []*hopSpec
	warnings []Warning
	info     fs.FileInfo
	loose    bool // it is in no folder: what it names, it names by absolute path
}

// A hopSpec is one [Hop] section.
type hopSpec struct {
	line     int
	lines    map[string]int // of each key
	name     string         // "": its file's
	group    string
	via      []string
	configs  []string    // paths as written: none is inline, several are a group
	inline   *File       // what the profile itself says as a wg-quick file would; its MTU counts beside configs, too
	routes   []routeSpec // nil: the file's AllowedIPs
	fragment Choice
	onDown   string     // "reject", "drop", or a hop's or group's name
	probe    netip.Addr // not valid: none
	pace     pace
}

// A routeSpec is one entry of Routes.
type routeSpec struct {
	prefix netip.Prefix
	file   string // of prefixes, as written; "": prefix
	line   int
}

// parseProfile reads a profile, which may be loose, and returns it, or what is wrong, in the order of
// its lines, each an *Error.
func parseProfile(path, text string, loose bool) (*profile, []error) {
	p := newProfileParser(path)
	p.profile.loose = loose
	errs := p.lines(text)
	if len(errs) > 0 {
		return nil, errs
	}
	p.profile.lines = p.sections[0].seen
	for _, h := range p.profile.hops {
		if err := p.finishHop(h); err != nil {
			errs = append(errs, err)
		}
	}
	if len(p.profile.hops) == 0 {
		errs = append(errs, &Error{File: path, Section: "Hop", Err: errors.New("missing: a profile has one for each tunnel")})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	slices.SortStableFunc(p.warnings, func(a, b Warning) int { return a.Line - b.Line })
	p.profile.warnings = p.warnings
	return p.profile, nil
}

func newProfileParser(path string) *parser {
	return &parser{
		path:    path,
		kind:    "profile",
		profile: &profile{path: path, name: hopName(path)},
		sections: []*section{
			{name: "Interface", fields: settingFields(), seen: make(map[string]int)},
			{name: "Hop", fields: hopFields(), open: (*parser).openHop},
			{name: "Peer", fields: peerFields(), open: (*parser).openInlinePeer},
		},
	}
}

// settingFields returns the keys of a profile's [Interface].
func settingFields() []field {
	var fields []field
	for _, st := range settings() {
		fields = append(fields, field{st.Key, !st.Repeat, func(p *parser, v value) error {
			return st.set(&p.profile.settings, v)
		}})
	}
	return fields
}

func (p *parser) openHop() error {
	if len(p.profile.hops) == maxHops {
		return p.fail("", fmt.Errorf("more than %d hops", maxHops))
	}
	p.file = &File{Path: p.path}
	p.prefixes = 0
	p.profile.hops = append(p.profile.hops, &hopSpec{line: p.line, lines: p.section.seen, inline: p.file})
	return nil
}

func (p *parser) openInlinePeer() error {
	if len(p.profile.hops) == 0 {
		return p.fail("", errors.New("before the first [Hop], and so of none"))
	}
	return p.openPeer()
}

// hop returns the hop whose section the current line is in.
func (p *parser) hop() *hopSpec { return p.profile.hops[len(p.profile.hops)-1] }

// finishHop checks what only the end of a hop's sections shows.
func (p *parser) finishHop(h *hopSpec) error {
	p.file, p.line = h.inline, h.line
	bad := func(key, format string, args ...any) error { return p.failHop(h, key, fmt.Errorf(format, args...)) }
	switch {
	case len(h.configs) == 0:
		return p.finishInline(h)
	case len(h.inline.Peers) > 0:
		return &Error{File: p.path, Line: h.inline.Peers[0].Line, Section: "Peer",
			Err: errors.New("its [Hop] has a Config, whose peers count: keep one of the two")}
	case len(h.configs) > 1 && h.name == "":
		return bad("Name", "missing: several files are a group, and a group needs a name")
	case len(h.configs) > 1 && h.group != "":
		return bad("Group", "several files in Config are a group of their own: keep one of the two")
	}
	for _, key := range inlineKeys() {
		if key != "MTU" && h.lines[key] > 0 {
			return bad(key, "is the file's to say that Config names: keep one of the two")
		}
	}
	return nil
}

// finishInline checks a hop that is written out in the profile.
func (p *parser) finishInline(h *hopSpec) error {
	switch {
	case h.inline.Interface.PrivateKey.IsZero() && len(h.inline.Peers) == 0:
		return p.failHop(h, "Config", errors.New("missing: a [Hop] names its wg-quick file, or has a PrivateKey and [Peer] sections of its own"))
	case h.inline.Interface.PrivateKey.IsZero():
		return p.failHop(h, "PrivateKey", errors.New("missing: a [Hop] without Config needs one"))
	case h.name == "":
		return p.failHop(h, "Name", errors.New("missing: without Config there is no file to name the hop"))
	}
	h.inline.Name = h.name
	return p.finishPeers()
}

// failHop returns err about a key of h, or about h as a whole if it has no such
// key.
func (p *parser) failHop(h *hopSpec, key string, err error) error { return h.fail(p.path, key, err) }

func (h *hopSpec) fail(path, key string, err error) error {
	line := h.lines[key]
	if line == 0 {
		line = h.line
	}
	return &Error{File: path, Line: line, Section: "Hop", Key: key, Err: err}
}
