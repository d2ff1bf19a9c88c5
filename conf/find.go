package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// profileDir holds the profiles that have a name.
const profileDir = "/etc/multihop"

// Find returns the path of what an argument of a command line names, and whether
// that is a profile (it has a [Hop] section) rather than a wg-quick file. What has
// a slash or ends in .conf is a path; else NAME is /etc/multihop/NAME.conf.
func Find(arg string) (path string, profile bool, err error) { return find(profileDir, arg) }

func find(dir, arg string) (path string, isProfile bool, err error) {
	if arg == "" {
		return "", false, errors.New("no file and no profile: the name is empty")
	}
	path = arg
	if !strings.ContainsRune(filepath.ToSlash(arg), '/') && !strings.EqualFold(filepath.Ext(arg), ".conf") {
		if !isHopName(arg) || strings.Trim(arg, ".") == "" {
			return "", false, fmt.Errorf("%q is no profile's name: want 1 to %d of a-z, A-Z, 0-9 and _=+.-, or a path that ends in .conf", arg, maxName)
		}
		path = filepath.Join(dir, arg+".conf")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", false, fmt.Errorf("no profile is named %s: there is no %s%s", arg, path, hint(dir, arg))
		}
	}
	file, info, err := open(path, "wg-quick file or a profile")
	if err != nil {
		return "", false, err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := readText(path, file, info.Size(), maxFile, "wg-quick file or a profile")
	if err != nil {
		return "", false, err
	}
	return path, hasHop(text), nil
}

// hint suggests what is there instead, for the end of an error.
func hint(dir, arg string) string {
	var names []string
	paths, _ := filepath.Glob(filepath.Join(dir, "*.conf")) // only a bad pattern fails
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".conf"))
	}
	if exists(arg) {
		return fmt.Sprintf(" (for the file here: ./%s)", arg)
	}
	if s := closest(arg, names); s != "" {
		return fmt.Sprintf(" (did you mean %s?)", s)
	}
	return ""
}

// hasHop reports whether a text has a [Hop] section.
func hasHop(text string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") &&
			strings.EqualFold(strings.TrimSpace(line[1:len(line)-1]), "Hop") {
			return true
		}
	}
	return false
}
