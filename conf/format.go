package conf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Format writes the profile that r holds in the canonical layout: sections and
// keys as documented, "=" aligned within a section, lists with commas, one blank
// line between sections. Comments, the order and what values say stay. The path
// names it in errors, each an *Error; it writes nothing if there are some.
func Format(w io.Writer, path string, r io.Reader) error {
	text, err := readText(path, r, 0, maxFile, "profile")
	if err != nil {
		return err
	}
	if _, errs := parseProfile(path, text, false); len(errs) > 0 {
		return errors.Join(errs...)
	}
	b := bufio.NewWriter(w)
	for i, block := range layOut(newProfileParser(path), text) {
		if i > 0 {
			fmt.Fprintln(b)
		}
		block.write(b)
	}
	return b.Flush()
}

// A block is one section with the comments right before it, or what stands
// before the first section.
type block struct {
	lines []line
}

// A line is a comment, a section's, a key's, or a blank one.
type line struct {
	text    string // a section in brackets, or a key; "": none
	value   string
	isField bool
	comment string // from "#" on; "": none
}

func (l *line) isComment() bool { return l.text == "" && l.comment != "" }
func (l *line) isBlank() bool   { return l.text == "" && l.comment == "" }

// layOut splits the text of a valid profile into blocks.
func layOut(p *parser, text string) []block {
	blocks := []block{{}}
	for raw := range strings.Lines(text) {
		last := &blocks[len(blocks)-1].lines
		l := p.splitLine(raw)
		if l.text == "" || l.isField {
			*last = append(*last, l)
			continue
		}
		n := len(*last) // comments right before the section go with it
		for n > 0 && (*last)[n-1].isComment() {
			n--
		}
		lead := append([]line(nil), (*last)[n:]...)
		*last = (*last)[:n]
		blocks = append(blocks, block{append(lead, l)})
	}
	var kept []block
	for _, b := range blocks {
		if b.squeeze(); len(b.lines) > 0 {
			kept = append(kept, b)
		}
	}
	return kept
}

// squeeze drops blank lines but for one between others.
func (b *block) squeeze() {
	var kept []line
	for i, l := range b.lines {
		if !l.isBlank() {
			kept = append(kept, l)
			continue
		}
		after := len(kept) > 0 && (kept[len(kept)-1].isField || kept[len(kept)-1].isComment())
		if after && i+1 < len(b.lines) && !b.lines[i+1].isBlank() {
			kept = append(kept, l)
		}
	}
	b.lines = kept
}

func (b *block) write(w io.Writer) {
	width := 0
	for _, l := range b.lines {
		if l.isField {
			width = max(width, len(l.text))
		}
	}
	for _, l := range b.lines {
		s := l.text
		if l.isField {
			s = strings.TrimRight(fmt.Sprintf("%-*s = %s", width, l.text, l.value), " ")
		}
		if s != "" && l.comment != "" {
			s += "  "
		}
		fmt.Fprintln(w, s+l.comment)
	}
}

// splitLine takes one line of a valid profile apart. The names of its section and
// key become the documented ones.
func (p *parser) splitLine(raw string) line {
	text, comment, found := strings.Cut(raw, "#")
	l := line{text: strings.TrimSpace(text)}
	if found {
		l.comment = "#" + strings.TrimRight(comment, " \t\r\n")
	}
	if name, ok := strings.CutPrefix(l.text, "["); ok {
		name = strings.TrimSpace(strings.TrimSuffix(name, "]"))
		for _, s := range p.sections {
			if strings.EqualFold(s.name, name) {
				p.section, l.text = s, "["+s.name+"]"
			}
		}
		return l
	}
	key, val, ok := strings.Cut(l.text, "=")
	if !ok {
		return l
	}
	l.isField, l.text = true, fieldNamed(p.section.fields, strings.TrimSpace(key))
	switch l.text {
	case "PreUp", "PostUp", "PreDown", "PostDown": // "#" is a command's own
		_, val, _ = strings.Cut(raw, "=")
		l.value, l.comment = strings.TrimSpace(val), ""
		return l
	}
	l.value = canonical(p.section.name, l.text, strings.TrimSpace(val))
	return l
}

// canonical returns the value of a key with its list, if it is one, in the
// documented form.
func canonical(section, key, val string) string {
	switch key {
	case "Address", "AllowedIPs", "Exclude", "Via":
		return strings.Join(list(val), ", ")
	case "Routes":
		return strings.Join(splitRoutes(val), ", ")
	case "Config":
		var names []string
		for s := range strings.SplitSeq(val, ",") {
			names = append(names, strings.TrimSpace(s))
		}
		return strings.Join(names, ", ")
	case "DNS":
		if section == "Hop" {
			return strings.Join(list(val), ", ")
		}
		entries, _ := parseDNS(val, 0) // is valid
		var out []string
		for _, d := range entries {
			out = append(out, d.String())
		}
		return strings.Join(out, ", ")
	}
	return val
}
