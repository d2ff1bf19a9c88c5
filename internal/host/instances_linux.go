package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// otherJournals reads those of all instances but one. One that cannot be read
// says nothing.
func otherJournals(dir, name string) []*journal {
	files, _ := os.ReadDir(dir)
	var out []*journal
	for _, f := range files {
		other, ok := strings.CutSuffix(f.Name(), journalSuffix)
		if !ok || other == name {
			continue
		}
		if j, err := readJournal(dir, other); err == nil {
			out = append(out, j)
		}
	}
	return out
}

// locked runs f while no other process is in it for the same directory.
func (k *kernel) locked(f func() error) error {
	lock, err := os.OpenFile(filepath.Join(k.dir, ".lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // no directory, and so no other instance
		return f()
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return f()
}

// Orphans returns the names of the instances that have a journal in dir ("":
// Dir) but no TUN any more: they crashed, and what they did still stands.
func Orphans(dir string) ([]string, error) {
	if dir == "" {
		dir = Dir
	}
	if err := checkDir(dir); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	var out []string
	for _, j := range otherJournals(dir, "") {
		if len(j.Changes) == 0 {
			continue
		}
		h, err := New(j.Name, &Options{Dir: dir, Netns: j.Netns})
		if err != nil {
			return nil, err
		}
		there, err := h.Exists()
		err = errors.Join(err, h.close())
		if err != nil {
			return nil, err
		}
		if !there {
			out = append(out, j.Name)
		}
	}
	return out, nil
}
