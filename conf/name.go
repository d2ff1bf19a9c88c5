package conf

import (
	"path/filepath"
	"strconv"
	"strings"
)

const (
	maxName   = 64 // bytes of a hop's name
	keyDigits = 43 // characters of a key in base64 before "="
)

// hopName makes a hop's name of a path's last element, without ".conf". What a
// name cannot have ("wg (1).conf") becomes "-".
func hopName(path string) string {
	base := filepath.Base(path)
	if n := len(base) - len(".conf"); n >= 0 && strings.EqualFold(base[n:], ".conf") {
		base = base[:n]
	}
	var b strings.Builder
	gap := false
	for _, r := range base {
		if !isNameChar(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		b.WriteRune(r)
	}
	name := strings.TrimLeft(b.String(), ".-") // no hidden file, no option
	if len(name) > maxName {
		name = name[:maxName]
	}
	if name == "" {
		return "hop"
	}
	return name
}

// isNameChar reports whether a hop's or an interface's name may have r.
func isNameChar(r rune) bool { return isAlnum(r) || strings.ContainsRune("_=+.-", r) }

// isHopName reports whether s can be a hop's name. What could be a key in the
// wrong place cannot: names are shown.
func isHopName(s string) bool {
	return s != "" && len(s) <= maxName && strings.TrimFunc(s, isNameChar) == "" && !hasKey(s)
}

// hasKey reports whether s contains what could be a key in base64, or is one but
// for its "=".
func hasKey(s string) bool {
	run := 0
	for _, r := range s {
		switch {
		case isAlnum(r) || r == '+' || r == '/':
			run++
		case r == '=' && run >= keyDigits:
			return true
		default:
			run = 0
		}
	}
	return run == keyDigits && run == len(s)
}

// uniqueNames gives the second and later ones of equal names a suffix: entry,
// entry-2. A name that a file has by itself is never taken from it.
func uniqueNames(names []string) []string {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	used := make(map[string]bool, len(names))
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		for k := 2; used[out[i]]; k++ {
			suffix := "-" + strconv.Itoa(k)
			c := n[:min(len(n), maxName-len(suffix))] + suffix
			if !wanted[c] && !used[c] {
				out[i] = c
			}
		}
		used[out[i]] = true
	}
	return out
}
