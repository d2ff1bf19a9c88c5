package resolv

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const resolvConf = "/etc/resolv.conf"

// A Record says what Apply changes and what Undo brings back. Prepare makes it.
// It can be kept as JSON. The zero value changes nothing.
type Record struct {
	Settings
	Resolved   bool      `json:",omitempty"` // resolved is told
	Index      int       `json:",omitempty"` // of Link then; 0: it did not exist
	Resolvconf string    `json:",omitempty"` // name of the record for resolvconf; "": not told
	File       *Original `json:",omitempty"` // what resolv.conf was; nil: not replaced
}

// An Original is what was at a file's name. The zero value: nothing.
type Original struct {
	Symlink string `json:",omitempty"` // where the name led to; "": it was no symbolic link
	Content []byte `json:",omitempty"` // of the file, in the end
	Mode    uint32 `json:",omitempty"` // permissions; 0 with a Symlink and with nothing
	UID     uint32 `json:",omitempty"`
	GID     uint32 `json:",omitempty"`
}

// Lines are the changes that Apply makes, as a shell would.
func (r Record) Lines() []string {
	var lines []string
	if r.Resolved {
		lines = append(lines,
			"resolvectl dns "+r.Link+" "+join(r.Servers, " "),
			"resolvectl domain "+r.Link+" "+strings.Join(r.domains(), " "),
			fmt.Sprintf("resolvectl default-route %s %t", r.Link, r.all()))
	}
	if r.Resolvconf != "" {
		lines = append(lines, fmt.Sprintf("printf '%s' | resolvconf -a %s -m 0 -x",
			strings.ReplaceAll(r.body(), "\n", `\n`), r.Resolvconf))
	}
	if r.File != nil {
		lines = append(lines, fmt.Sprintf("printf '%s' > %s",
			strings.ReplaceAll(r.body(), "\n", `\n`), resolvConf))
	}
	return lines
}

// UndoLines are the changes that Undo makes, as a shell would.
func (r Record) UndoLines() []string {
	var lines []string
	if r.File != nil {
		lines = append(lines, "restore "+resolvConf)
	}
	if r.Resolvconf != "" {
		lines = append(lines, fmt.Sprintf("resolvconf -d %s -f", r.Resolvconf))
	}
	if r.Resolved {
		lines = append(lines, "resolvectl revert "+r.Link)
	}
	return lines
}

// all reports whether names of every domain are asked of the Servers.
func (s Settings) all() bool { return s.Default || len(s.Search) == 0 }

// domains are those of the link for resolved, as resolvectl writes them: with a
// tilde, names below are asked of the link but none is completed.
func (s Settings) domains() []string {
	d := slices.Clone(s.Search)
	if s.all() {
		d = append(d, "~.")
	}
	return d
}

// body is what resolv.conf says.
func (s Settings) body() string {
	var b strings.Builder
	for _, a := range s.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if len(s.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(s.Search, " "))
	}
	return b.String()
}

// most is how many servers of a resolv.conf are asked (MAXNS of resolv.h).
const most = 3

// warnings say what a resolv.conf cannot.
func (r Record) warnings() []string {
	if r.Resolvconf == "" && r.File == nil {
		return nil
	}
	var w []string
	if !r.all() {
		w = append(w, fmt.Sprintf("names of all domains are asked of %s: without systemd-resolved this host cannot tell domains apart", join(r.Servers, ", ")))
	}
	if len(r.Servers) > most {
		w = append(w, fmt.Sprintf("only the first %d resolvers are asked", most))
	}
	return w
}

func join(addrs []netip.Addr, sep string) string {
	s := make([]string, len(addrs))
	for i, a := range addrs {
		s[i] = a.String()
	}
	return strings.Join(s, sep)
}
