//go:build unix

package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkTrusted refuses hooks of a file that somebody else than root could have
// written: it, or its folder. The path may be a link: then the folder of what it
// leads to counts, too.
func checkTrusted(path string, info fs.FileInfo) error {
	return checkOwned(path, info, 0)
}

// checkOwned is checkTrusted for any owner.
func checkOwned(path string, info fs.FileInfo, uid uint32) error {
	if info == nil {
		return &Error{File: path, Err: errors.New("has hooks, but is no file of which the owner is known")}
	}
	if err := ownedBy(path, info, uid); err != nil {
		return &Error{File: path, Err: err}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fileError(path, err)
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(target)} {
		info, err := os.Stat(dir)
		if err != nil {
			return fileError(dir, err)
		}
		if err := ownedBy(dir, info, uid); err != nil {
			return &Error{File: path, Err: err}
		}
	}
	return nil
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
