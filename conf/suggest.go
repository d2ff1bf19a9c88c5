package conf

import (
	"errors"
	"fmt"
	"strings"
)

// maxKeyName is the longest name of an unknown key that an error repeats: what
// is longer in a key's place may be a secret.
const maxKeyName = secretRun - 1

// unknownKey returns the error for a key that its section does not have.
func (p *parser) unknownKey(key string) error {
	for _, s := range p.sections {
		if f := fieldNamed(s.fields, key); f != "" {
			return p.fail(f, fmt.Errorf("belongs in [%s], not in [%s]", s.name, p.section.name))
		}
	}
	switch {
	case isAmnezia(key):
		return p.fail(key, errors.New("a key of AmneziaWG, which is not supported: get a plain WireGuard file from the provider"))
	case strings.EqualFold(key, "IncludedApplications"), strings.EqualFold(key, "ExcludedApplications"):
		return p.fail(key, errors.New("a key of WireGuard for Android only: remove the line"))
	case !isKeyName(key):
		return p.fail("", errors.New("unknown key (not repeated here: it could be part of a secret)"))
	}
	names := make([]string, 0, len(p.section.fields))
	for _, f := range p.section.fields {
		names = append(names, f.key)
	}
	if s := closest(key, names); s != "" {
		return p.fail(key, fmt.Errorf("unknown key: did you mean %s?", s))
	}
	return p.fail(key, fmt.Errorf("unknown key: [%s] has %s", p.section.name, strings.Join(names, ", ")))
}

func (p *parser) unknownSection(name string) error {
	var names, shown []string
	for _, s := range p.sections {
		names = append(names, s.name)
		shown = append(shown, "["+s.name+"]")
	}
	last := len(shown) - 1
	has := fmt.Sprintf("a %s has %s and %s", p.kind, strings.Join(shown[:last], ", "), shown[last])
	if !isKeyName(name) {
		return fmt.Errorf("unknown section: %s", has)
	}
	if s := closest(name, names); s != "" {
		return fmt.Errorf("unknown section [%s]: did you mean [%s]?", name, s)
	}
	return fmt.Errorf("unknown section [%s]: %s", name, has)
}

func fieldNamed(fields []field, key string) string {
	for _, f := range fields {
		if strings.EqualFold(f.key, key) {
			return f.key
		}
	}
	return ""
}

// isKeyName reports whether s looks like a key's name rather than like
// something that must not be repeated.
func isKeyName(s string) bool {
	if s == "" || len(s) > maxKeyName {
		return false
	}
	for _, r := range s {
		if !isAlnum(r) {
			return false
		}
	}
	return true
}

// isAmnezia reports whether key is one that AmneziaWG adds: Jc, Jmin, S1, H1 to
// H4, I1 and so on.
func isAmnezia(key string) bool {
	switch key = strings.ToLower(key); key {
	case "jc", "jmin", "jmax", "itime", "advancedsecurity":
		return true
	}
	return len(key) == 2 && strings.Contains("shij", key[:1]) && '1' <= key[1] && key[1] <= '9'
}

// closest returns the name that s most likely means, or "".
func closest(s string, names []string) string {
	best, found := 1+len(s)/3, ""
	for _, name := range names {
		if d := distance(strings.ToLower(s), strings.ToLower(name)); d <= best && (found == "" || d < best) {
			best, found = d, name
		}
	}
	return found
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
