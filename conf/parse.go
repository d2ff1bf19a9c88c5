package conf

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of one file. The largest real ones, everything but a few prefixes,
// stay a hundred times below.
const (
	maxFile      = 1 << 20 // bytes
	maxPeers     = 1024
	maxPrefixes  = 16384 // AllowedIPs of all peers together
	maxAddresses = 64
	maxDNS       = 64
	maxHooks     = 256 // of all four kinds together
	maxErrors    = 20  // reported
)

// Parse reads one wg-quick file. The path names it in errors, and its last
// element names the hop. The error is an *Error, the first in the file.
func Parse(path string, r io.Reader) (*File, error) {
	f, errs := parseAll(path, r)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return f, nil
}

// parseAll is Parse that goes on with the next line after an error, up to
// maxErrors of them.
func parseAll(path string, r io.Reader) (*File, []error) {
	text, err := readText(path, r, 0, maxFile, "wg-quick file")
	if err != nil {
		return nil, []error{err}
	}
	p := newParser(path)
	if errs := p.lines(text); len(errs) > 0 { // what finish missed could be in the lines that failed
		return nil, errs
	}
	if err := p.finish(); err != nil {
		return nil, []error{err}
	}
	return p.file, nil
}

// readText returns the whole of a file of some kind as UTF-8 text, or an *Error.
// The size is a guess.
func readText(path string, r io.Reader, size, limit int64, kind string) (string, error) {
	var b strings.Builder
	b.Grow(int(min(size, limit)))
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err != nil {
		return "", &Error{File: path, Err: err}
	}
	if n > limit {
		return "", &Error{File: path, Err: fmt.Errorf("longer than %d bytes: not a %s", limit, kind)}
	}
	text := strings.TrimPrefix(b.String(), "\ufeff")
	switch {
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return "", &Error{File: path, Err: errors.New("text in UTF-16: save the file as UTF-8")}
	case strings.IndexByte(text, 0) >= 0:
		return "", &Error{File: path, Err: errors.New("not a text file: it has bytes of zero")}
	}
	return text, nil
}

// lines parses every line of text, up to maxErrors errors.
func (p *parser) lines(text string) (errs []error) {
	for line := range strings.Lines(text) {
		p.line++
		if err := p.parseLine(line); err != nil {
			if errs = append(errs, err); len(errs) == maxErrors {
				break
			}
		}
	}
	return errs
}

// A parser is the state of one Parse.
type parser struct {
	path     string
	kind     string // of file, for errors
	line     int
	sections []*section
	section  *section // the line's; nil before the first
	skip     bool     // the section's own line failed: its fields mean nothing
	warnings []Warning

	file     *File // what [Interface] and [Peer] of a wg-quick file fill
	prefixes int
	hooks    int

	profile *profile // nil: a wg-quick file
}

// A section is one kind of section of a file.
type section struct {
	name   string
	fields []field
	open   func(p *parser) error // called for each section's own line; nil: nothing to do
	seen   map[string]int        // line of each key of the current one
}

// A field is one key of a section and what its value does.
type field struct {
	key    string
	single bool // may be given once a section
	set    func(p *parser, v value) error
}

// A value is the right-hand side of one line, without surrounding space.
type value struct {
	text string // up to the comment
	raw  string // with it: hooks may contain "#"
	line int    // 0: none, a flag's
}

func newParser(path string) *parser {
	return &parser{
		path: path,
		kind: "wg-quick file",
		file: &File{Path: path, Name: hopName(path)},
		sections: []*section{
			{name: "Interface", fields: interfaceFields(), seen: make(map[string]int)},
			{name: "Peer", fields: peerFields(), open: (*parser).openPeer},
		},
	}
}

// fail returns err as an *Error of the current line.
func (p *parser) fail(key string, err error) error {
	e := &Error{File: p.path, Line: p.line, Key: key, Err: err}
	if p.section != nil {
		e.Section = p.section.name
	}
	return e
}

func (p *parser) warn(line int, key, format string, args ...any) {
	p.warnings = append(p.warnings, Warning{
		File: p.path, Line: line, Key: key, Text: fmt.Sprintf(format, args...),
	})
}

// peer returns the peer whose section the current line is in.
func (p *parser) peer() *Peer { return &p.file.Peers[len(p.file.Peers)-1] }

func (p *parser) parseLine(line string) error {
	text, _, _ := strings.Cut(line, "#")
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if strings.HasPrefix(text, "[") {
		err := p.parseSection(text)
		p.skip = err != nil
		return err
	}
	if p.skip {
		return nil
	}
	key, val, ok := strings.Cut(text, "=")
	if !ok {
		return p.fail("", errors.New(`neither "Key = value", nor a section such as [Peer], nor a comment (#)`))
	}
	_, raw, _ := strings.Cut(line, "=")
	return p.parseField(strings.TrimSpace(key), value{strings.TrimSpace(val), strings.TrimSpace(raw), p.line})
}

func (p *parser) parseSection(text string) error {
	name, ok := strings.CutSuffix(text[1:], "]")
	if !ok {
		return p.fail("", errors.New("a section's name must end in ]"))
	}
	name = strings.TrimSpace(name)
	p.section = nil
	for _, s := range p.sections {
		if !strings.EqualFold(s.name, name) {
			continue
		}
		p.section = s
		if s.open == nil {
			return nil
		}
		s.seen = make(map[string]int)
		return s.open(p)
	}
	return p.fail("", p.unknownSection(name))
}

func (p *parser) parseField(key string, v value) error {
	s := p.section
	if s == nil {
		return p.fail("", fmt.Errorf("before the first section: start the file with [%s]", p.sections[0].name))
	}
	for _, f := range s.fields {
		if !strings.EqualFold(f.key, key) {
			continue
		}
		if first, ok := s.seen[f.key]; ok && f.single {
			return p.fail(f.key, fmt.Errorf("given twice (first in line %d): keep one", first))
		} else if !ok {
			s.seen[f.key] = p.line
		}
		if err := f.set(p, v); err != nil {
			return p.fail(f.key, err)
		}
		return nil
	}
	return p.unknownKey(key)
}

// openPeer starts a [Peer] of the file.
func (p *parser) openPeer() error {
	if len(p.file.Peers) == maxPeers {
		return p.fail("", fmt.Errorf("more than %d peers", maxPeers))
	}
	p.file.Peers = append(p.file.Peers, Peer{Line: p.line})
	return nil
}

// finish checks what only the end of a wg-quick file shows.
func (p *parser) finish() error {
	f := p.file
	p.section, p.line = p.sections[0], 0
	switch {
	case len(p.section.seen) == 0 && len(f.Peers) == 0:
		p.section = nil
		return p.fail("", errors.New("no [Interface] and no [Peer]: not a wg-quick file"))
	case f.Interface.PrivateKey.IsZero():
		return p.fail("PrivateKey", errors.New("missing: [Interface] needs one"))
	}
	if err := p.finishPeers(); err != nil {
		return err
	}
	if f.Interface.SaveConfig {
		p.warn(p.sections[0].seen["SaveConfig"], "SaveConfig", "ignored: files are never written")
	}
	slices.SortStableFunc(p.warnings, func(a, b Warning) int { return a.Line - b.Line })
	f.Warnings, f.lines = p.warnings, p.sections[0].seen
	return nil
}
