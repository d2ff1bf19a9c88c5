package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"multihop/conf"
)

// bodyName stands for a profile that is no file in what is said about it.
const bodyName = "profile"

// A stage is a folder of root's own in which a profile that came as a text is a
// file for package conf, with links to the files that it names. A profile's files
// lie in its folder: these come by absolute path, from somebody who may do
// anything.
type stage struct {
	dir   string
	names []string // pairs for a Replacer: what is here, and what it stands for
}

// stageDir is where an instance stages.
func stageDir(dir, name string) string { return filepath.Join(dir, ".apply-"+name) }

// openStage writes the text. The caller closes the stage.
func openStage(dir, text string) (*stage, error) {
	s := &stage{dir: dir}
	if err := s.close(); err != nil { // of a process that died
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	text, err := s.link(text)
	if err == nil {
		err = os.WriteFile(s.profile(), []byte(text), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.names = append(s.names, s.profile(), bodyName)
	return s, nil
}

func (s *stage) profile() string { return filepath.Join(s.dir, bodyName) }

func (s *stage) close() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// load reads the profile. What is said of it names what the caller knows.
func (s *stage) load(over *conf.Overrides) (*conf.Instance, error) {
	known := strings.NewReplacer(s.names...)
	c, err := conf.LoadProfile(s.profile(), over)
	if err != nil {
		return nil, errors.New(known.Replace(err.Error()))
	}
	for i := range c.Warnings {
		w := &c.Warnings[i]
		w.File, w.Text = known.Replace(w.File), known.Replace(w.Text)
	}
	c.Files = c.Files[1:] // the first is the profile
	for i, f := range c.Files {
		c.Files[i] = known.Replace(f)
	}
	return c, nil
}

// link makes a link for each file that the text names, and returns the text with
// those instead, line for line.
func (s *stage) link(text string) (string, error) {
	var out strings.Builder
	section, number := "", 0
	for line := range strings.Lines(text) {
		number++
		bare, _, _ := strings.Cut(line, "#")
		bare = strings.TrimSpace(bare)
		if strings.HasPrefix(bare, "[") {
			section = strings.ToLower(strings.TrimSpace(strings.Trim(bare, "[]")))
		}
		key, value, ok := strings.Cut(bare, "=")
		key = strings.TrimSpace(key)
		if section != "hop" || !ok || !strings.EqualFold(key, "Config") && !strings.EqualFold(key, "Routes") {
			out.WriteString(line)
			continue
		}
		parts := strings.Split(value, ",")
		for i, part := range parts {
			head, path, isFile := strings.Cut(part, "@")
			switch {
			case strings.EqualFold(key, "Config"):
				head, path = "", part
			case isFile:
				head += "@"
			default:
				continue
			}
			link, err := s.linkTo(strings.TrimSpace(path))
			if err != nil {
				return "", fmt.Errorf("%s:%d: %s: %w", bodyName, number, key, err)
			}
			parts[i] = head + link
		}
		fmt.Fprintf(&out, "%s = %s\n", key, strings.Join(parts, ","))
	}
	return out.String(), nil
}

// linkTo makes a link to a file, of the same name, and returns its path in the
// stage. Its errors do not repeat what may be a key.
func (s *stage) linkTo(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", errors.New("want an absolute path: the profile is in no folder")
	}
	if info, err := os.Stat(path); errors.Is(err, fs.ErrPermission) {
		return "", errors.New("a file that may not be read")
	} else if err != nil || !info.Mode().IsRegular() {
		return "", errors.New("no such file")
	}
	local := filepath.Join(fmt.Sprint(len(s.names)/2), filepath.Base(path))
	at := filepath.Join(s.dir, local)
	if err := os.Mkdir(filepath.Dir(at), 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(path, at); err != nil {
		return "", err
	}
	s.names = append(s.names, at, path)
	return local, nil
}
