package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// An Error says what is wrong in a file, where, and what to do about it.
type Error struct {
	File    string // path as it was given
	Line    int    // 1 is the first; 0: the file as a whole
	Section string // "Interface" or "Peer"; "": none
	Key     string // as wg-quick(8) spells it; "": the line or section as a whole
	Err     error
}

func (e *Error) Error() string {
	what := e.Key
	if what == "" && e.Section != "" {
		what = "[" + e.Section + "]"
	}
	return located(e.File, e.Line, what, e.Err.Error())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A Warning is something that works, though perhaps not as the file's author
// expects.
type Warning struct {
	File string
	Line int    // 0: the file as a whole
	Key  string // "": the line or file as a whole
	Text string
}

// String returns the warning as one line: file:line: key: text.
func (w Warning) String() string { return located(w.File, w.Line, w.Key, w.Text) }

func located(file string, line int, what, text string) string {
	var b strings.Builder
	b.WriteString(file)
	if line > 0 {
		b.WriteString(":" + strconv.Itoa(line))
	}
	if what != "" {
		b.WriteString(": " + what)
	}
	b.WriteString(": " + text)
	return b.String()
}

// Limits of shown.
const (
	maxShown  = 80 // bytes of a value in an error
	secretRun = 20 // characters of base64 or hex in a row that may be a key's
)

// shown returns a value from a file, quoted for an error: shortened when long,
// and not at all when it could be a key that was put in the wrong place.
func shown(s string) string {
	run := 0
	for _, r := range s {
		if !isAlnum(r) && !strings.ContainsRune("+/=", r) {
			run = 0
			continue
		}
		if run++; run >= secretRun {
			return "the value (not repeated here: it could be a key)"
		}
	}
	if len(s) > maxShown {
		return fmt.Sprintf("%q...", s[:maxShown])
	}
	return strconv.Quote(s)
}

func isAlnum(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
