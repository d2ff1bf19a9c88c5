package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"multihop/router"
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
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, []error{&Error{File: path, Err: err}}
	}
	if len(text) > maxFile {
		return nil, []error{&Error{File: path, Err: fmt.Errorf("longer than %d bytes: not a wg-quick file", maxFile)}}
	}
	p := newParser(path)
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, []error{p.fail("", errors.New("text in UTF-16: save the file as UTF-8"))}
	case bytes.IndexByte(text, 0) >= 0:
		return nil, []error{p.fail("", errors.New("not a text file: it has bytes of zero"))}
	}
	var errs []error
	for line := range strings.Lines(string(text)) {
		p.line++
		if err := p.parseLine(line); err != nil {
			errs = append(errs, err)
		}
		if len(errs) == maxErrors {
			return nil, errs
		}
	}
	if len(errs) > 0 { // what finish missed could be in the lines that failed
		return nil, errs
	}
	if err := p.finish(); err != nil {
		return nil, []error{err}
	}
	return p.file, nil
}

// A parser is the state of one Parse.
type parser struct {
	file    *File
	line    int
	section string // "Interface", "Peer", or "" before the first
	skip    bool   // the section's own line failed: its fields mean nothing

	interfaceFields, peerFields []field
	interfaceSeen, peerSeen     map[string]int // line of each key; peerSeen: of this peer

	prefixes int
	hooks    int
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
}

func newParser(path string) *parser {
	return &parser{
		file:            &File{Path: path, Name: hopName(path)},
		interfaceFields: interfaceFields(),
		peerFields:      peerFields(),
		interfaceSeen:   make(map[string]int),
	}
}

// fail returns err as an *Error of the current line.
func (p *parser) fail(key string, err error) error {
	return &Error{File: p.file.Path, Line: p.line, Section: p.section, Key: key, Err: err}
}

func (p *parser) warn(line int, key, format string, args ...any) {
	p.file.Warnings = append(p.file.Warnings, Warning{
		File: p.file.Path, Line: line, Key: key, Text: fmt.Sprintf(format, args...),
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
	return p.parseField(strings.TrimSpace(key), value{strings.TrimSpace(val), strings.TrimSpace(raw)})
}

func (p *parser) parseSection(text string) error {
	name, ok := strings.CutSuffix(text[1:], "]")
	name = strings.TrimSpace(name)
	switch {
	case !ok:
		return p.fail("", errors.New("a section's name must end in ]"))
	case strings.EqualFold(name, "Interface"):
		p.section = "Interface"
		return nil
	case !strings.EqualFold(name, "Peer"):
		p.section = ""
		return p.fail("", unknownSection(name))
	}
	p.section = "Peer"
	if len(p.file.Peers) == maxPeers {
		return p.fail("", fmt.Errorf("more than %d peers", maxPeers))
	}
	p.file.Peers = append(p.file.Peers, Peer{Line: p.line})
	p.peerSeen = make(map[string]int)
	return nil
}

func (p *parser) parseField(key string, v value) error {
	fields, seen := p.interfaceFields, p.interfaceSeen
	switch p.section {
	case "":
		return p.fail("", errors.New("before the first section: start the file with [Interface]"))
	case "Peer":
		fields, seen = p.peerFields, p.peerSeen
	}
	for _, f := range fields {
		if !strings.EqualFold(f.key, key) {
			continue
		}
		if first, ok := seen[f.key]; ok && f.single {
			return p.fail(f.key, fmt.Errorf("given twice (first in line %d): keep one", first))
		} else if !ok {
			seen[f.key] = p.line
		}
		if err := f.set(p, v); err != nil {
			return p.fail(f.key, err)
		}
		return nil
	}
	return p.unknownKey(key)
}

// finish checks what only the end of the file shows.
func (p *parser) finish() error {
	f := p.file
	p.section, p.line = "Interface", 0
	switch {
	case len(p.interfaceSeen) == 0 && len(f.Peers) == 0:
		p.section = ""
		return p.fail("", errors.New("no [Interface] and no [Peer]: not a wg-quick file"))
	case f.Interface.PrivateKey.IsZero():
		return p.fail("PrivateKey", errors.New("missing: [Interface] needs one"))
	case len(f.Peers) == 0:
		p.section = "Peer"
		return p.fail("", errors.New("missing: there is nothing to connect to"))
	}
	if err := p.checkPublicKeys(); err != nil {
		return err
	}
	p.lastPeerWins()
	p.warnPeers()
	p.warnNotActedOn()
	slices.SortStableFunc(f.Warnings, func(a, b Warning) int { return a.Line - b.Line })
	return nil
}

// checkPublicKeys fails if a peer has no public key, two have the same, or one
// has the file's own: WireGuard would drop one of them without a word.
func (p *parser) checkPublicKeys() error {
	own := p.file.Interface.PrivateKey.Public()
	first := make(map[router.Key]int, len(p.file.Peers))
	p.section = "Peer"
	for _, peer := range p.file.Peers {
		p.line = peer.Line
		if peer.PublicKey.IsZero() {
			return p.fail("PublicKey", errors.New("missing: each [Peer] needs one"))
		}
		if peer.PublicKey == own {
			return p.fail("PublicKey", errors.New("belongs to this file's own PrivateKey: it must be the relay's"))
		}
		if line, ok := first[peer.PublicKey]; ok {
			return p.fail("PublicKey", fmt.Errorf("the same as that of the [Peer] in line %d: make them one", line))
		}
		first[peer.PublicKey] = peer.Line
	}
	return nil
}
