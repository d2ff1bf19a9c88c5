//go:build unix

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// privateName is that of the folder in which sockets are bound. There is one in a
// directory, so that what a process leaves in it that is killed is found again.
const privateName = ".new"

const (
	patience = 5 * time.Second // for another process that is in there
	again    = 10 * time.Millisecond
)

// A private is the folder, empty and of mode 0700, locked against other processes
// and goroutines.
type private struct {
	path string
	lock *os.File // the folder itself
}

// takePrivate makes the folder, or takes over a dead process's.
func takePrivate(dir string) (*private, error) {
	path := filepath.Join(dir, privateName)
	for end := time.Now().Add(patience); ; time.Sleep(again) {
		p, err := lockPrivate(path)
		if err == nil {
			if err = os.RemoveAll(filepath.Join(path, "s")); err != nil {
				p.remove()
				return nil, err
			}
			return p, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s: in use by another process: %w", path, err)
		}
	}
}

// lockPrivate makes and locks the folder. It wraps EWOULDBLOCK or ErrNotExist if
// another process is in it, or has just removed it.
func lockPrivate(path string) (*private, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	var mine, there fs.FileInfo
	if err == nil {
		mine, err = f.Stat()
	}
	if err == nil {
		there, err = os.Lstat(path)
	}
	if err == nil && !os.SameFile(mine, there) {
		err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if err == nil && there.Mode().Perm() != 0o700 {
		err = os.Chmod(path, 0o700) // the umask took some
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &private{path, f}, nil
}

func (p *private) remove() {
	_ = os.RemoveAll(p.path)
	_ = p.lock.Close()
}

// Clean removes what a process left in dir that was killed while it made a socket
// there. The sockets themselves stay: Listen takes their names over.
func Clean(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, privateName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p, err := takePrivate(dir)
	if err != nil {
		return fmt.Errorf("sock: %w", err)
	}
	p.remove()
	return nil
}
