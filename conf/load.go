package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Load reads the wg-quick file at path. It refuses one that others than its
// owner may read or write (not on Windows, whose files have no mode). The error
// is an *Error.
func Load(path string) (*File, error) {
	f, errs := load(path)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return f, nil
}

// LoadAll is Load for who wants to mend a file in one go: the error joins the
// *Error of every line that has one.
func LoadAll(path string) (*File, error) {
	f, errs := load(path)
	return f, errors.Join(errs...)
}

func load(path string) (*File, []error) {
	file, info, err := open(path, "wg-quick file")
	if err != nil {
		return nil, []error{err}
	}
	defer func() { _ = file.Close() }() // only read
	if err := checkMode(path, info); err != nil {
		return nil, []error{&Error{File: path, Err: err}}
	}
	f, errs := parseAll(path, file)
	if len(errs) > 0 {
		return nil, errs
	}
	f.info = info
	return f, nil
}

// open opens a file of some kind that is no directory. The error is an *Error.
func open(path, kind string) (*os.File, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	info, err := file.Stat() // of the open file: the path may name another by now
	switch {
	case err != nil:
		err = fileError(path, err)
	case info.IsDir():
		err = &Error{File: path, Err: fmt.Errorf("a directory: give the path of a %s", kind)}
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// fileError drops the path that err repeats.
func fileError(path string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return &Error{File: path, Err: err}
}

// shellQuote returns path as a shell takes it for one word, and a command not
// for an option.
func shellQuote(path string) string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	plain := func(r rune) bool { return isAlnum(r) || strings.ContainsRune("_./+=:@%-", r) }
	if path != "" && strings.TrimFunc(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
