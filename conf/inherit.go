package conf

import "fmt"

// inherit takes over Table, FwMark and hooks from the files of hops on the
// host's network, where the profile and flags say nothing, and warns of what is
// ignored in files.
func (t *tree) inherit(s *Settings, fileHooks bool) (ws []Warning, err error) {
	table, mark := shared{key: "Table", said: s.Table}, shared{key: "FwMark", said: showMark(s.FwMark)}
	ownHooks := s.hasHooks()
	var first *File // on the host's network
	for _, m := range t.files() {
		f, in := m.file, &m.file.Interface
		if first == nil && len(m.spec.via) == 0 {
			first = f
		}
		warn := func(key, text string) {
			if text != "" {
				ws = append(ws, Warning{File: f.Path, Line: f.lines[key], Key: key, Text: text})
			}
		}
		text, err := table.offer(m, in.Table)
		if err != nil {
			return nil, err
		}
		warn("Table", text)
		text, err = mark.offer(m, showMark(in.FwMark))
		if err != nil {
			return nil, err
		}
		warn("FwMark", text)
		for _, h := range in.hooks() {
			switch {
			case len(h.commands) == 0:
			case !fileHooks:
				warn(h.key, "not run: hooks of hop files run only with --hooks")
			case f != first:
				warn(h.key, "not run: only those of the first file on the host's network are")
			case ownHooks:
				warn(h.key, "not run: others were given")
			}
		}
	}
	if table.from != nil {
		s.Table = table.value
	}
	if mark.from != nil {
		s.FwMark = mark.from.Interface.FwMark
	}
	if !fileHooks || first == nil || ownHooks || !first.Interface.hasHooks() {
		return ws, nil
	}
	in := &first.Interface
	s.PreUp, s.PostUp, s.PreDown, s.PostDown = in.PreUp, in.PostUp, in.PreDown, in.PostDown
	return ws, checkTrusted(first.Path, first.info)
}

// A shared value is one for all hops on the host's network.
type shared struct {
	key   string
	said  string // by the profile or a flag; "": nothing
	value string // the first file's
	from  *File  // that file; nil: none yet
}

// offer takes the value of m's file, or returns why it is ignored. Two files
// that differ are an error.
func (s *shared) offer(m *member, value string) (ignored string, err error) {
	switch {
	case value == "", value == "auto":
		return "", nil
	case len(m.spec.via) > 0:
		return fmt.Sprintf("ignored: only that of a hop on the host's network counts, and %s carries this one", listed(m.spec.via)), nil
	case s.said == value:
		return "", nil
	case s.said != "":
		return fmt.Sprintf("ignored: %s was given instead", s.said), nil
	case s.from == nil:
		s.value, s.from = value, m.file
	case s.value != value:
		return "", &Error{File: m.file.Path, Line: m.file.lines[s.key], Section: "Interface", Key: s.key,
			Err: fmt.Errorf("%s, but %s says %s, and all hops share one: set %s in the profile, or by its flag", value, s.from.Path, s.value, s.key)}
	}
	return "", nil
}

// showMark returns a mark as wg shows it; "": none.
func showMark(mark uint32) string {
	if mark == 0 {
		return ""
	}
	return fmt.Sprintf("%#x", mark)
}

// files returns the members with different files, in the order of the profile.
func (t *tree) files() (ms []*member) {
	seen := make(map[*File]bool)
	for _, m := range t.members() {
		if !seen[m.file] {
			ms = append(ms, m)
		}
		seen[m.file] = true
	}
	return ms
}

// A hookList is one kind of hooks of a file.
type hookList struct {
	key      string
	commands []Hook
}

func (in *Interface) hooks() []hookList {
	return []hookList{{"PreUp", in.PreUp}, {"PostUp", in.PostUp}, {"PreDown", in.PreDown}, {"PostDown", in.PostDown}}
}

func (in *Interface) hasHooks() bool {
	return len(in.PreUp)+len(in.PostUp)+len(in.PreDown)+len(in.PostDown) > 0
}

func (s *Settings) hasHooks() bool {
	return len(s.PreUp)+len(s.PostUp)+len(s.PreDown)+len(s.PostDown) > 0
}
