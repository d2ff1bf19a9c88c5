//go:build unix

package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// checkTrusted refuses hooks of a file that somebody else than root could have
// written, or put in its place: it, or a folder or link on the way to it, is
// another's, or others may write to it.
func checkTrusted(path string, info fs.FileInfo) error {
	return checkOwned(path, info, 0)
}

// checkOwned is checkTrusted for any owner beside root.
func checkOwned(path string, info fs.FileInfo, uid uint32) error {
	if info == nil {
		return &Error{File: path, Err: errors.New("has hooks, but is no file of which the owner is known")}
	}
	if err := ownedBy(path, info, uid); err != nil {
		return &Error{File: path, Err: err}
	}
	whole := path
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return fileError(path, err)
		}
		whole = dir + "/" + path
	}
	if err := checkWay(whole, uid); err != nil {
		return &Error{File: path, Err: err}
	}
	return nil
}

// maxLinks bounds the symbolic links on the way to a file, as Linux does.
const maxLinks = 40

// checkWay checks every folder and link on the way to a file, which is absolute, as
// the kernel walks it: after a link to a folder, ".." is what is above that folder.
func checkWay(path string, uid uint32) error {
	at, rest := "/", elements(path)
	for links := 0; len(rest) > 0; {
		folder, err := os.Stat(at)
		if err != nil {
			return err
		}
		if err := folderOwnedBy(at, folder, uid, len(rest) == 1); err != nil {
			return err
		}
		next := filepath.Join(at, rest[0]) // there is no link in at
		info, err := os.Lstat(next)
		if err != nil {
			return err
		}
		rest = rest[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("too many links on the way to %s", path)
		}
		if err := linkOwnedBy(next, info, uid); err != nil {
			return err
		}
		target, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(elements(target), rest...)
	}
	return nil
}

// elements splits a path into the names to look up one after the other.
func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(e string) bool { return e == "" || e == "." })
}

// linkOwnedBy checks a link: its owner could replace it where nobody else can
// (/tmp). It may be root's in any case, and has no mode.
func linkOwnedBy(path string, info fs.FileInfo, uid uint32) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("hooks do not run: the owner of %s is not known", path)
	case st.Uid != uid && st.Uid != 0:
		return fmt.Errorf("hooks do not run, for the link %s belongs to uid %d: run chown -h %d %s, if you trust it", path, st.Uid, uid, shellQuote(path))
	}
	return nil
}

// folderOwnedBy checks a folder, of which one further up may be root's in any
// case, and everybody's where nobody can replace what is another's (/tmp).
func folderOwnedBy(path string, info fs.FileInfo, uid uint32, last bool) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && !last && st.Uid == 0 && (info.Mode().Perm()&0o022 == 0 || info.Mode()&fs.ModeSticky != 0) {
		return nil
	}
	return ownedBy(path, info, uid)
}

func ownedBy(path string, info fs.FileInfo, uid uint32) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !ok:
		return fmt.Errorf("hooks do not run: the owner of %s is not known", path)
	case st.Uid != uid:
		return fmt.Errorf("hooks do not run, for %s belongs to uid %d: run chown %d %s, if you trust it", path, st.Uid, uid, shellQuote(path))
	case mode&0o022 != 0:
		return fmt.Errorf("hooks do not run, for group or others may write to %s (mode %04o): run chmod go-w %s", path, mode, shellQuote(path))
	}
	return nil
}
