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

// sysctl is a setting of the kernel, which is one for the whole namespace: the
// last of the instances that need it brings back what was before the first.
type sysctl struct {
	Path   string // below /proc/sys
	Value  string
	Before string // "": nothing to bring back
	kept   bool   // it could not be written
}

func (c *sysctl) key() string { return "sysctl " + c.Path }

// after remembers the value before: our own record's, else another instance's,
// else what it is now. The TUN's own settings go with it.
func (c *sysctl) after(k *kernel, old change) (change, error) {
	next := *c
	if old, ok := old.(*sysctl); ok {
		next.Before, next.kept = old.Before, old.kept
		return &next, nil
	}
	if c.isOf(k.tun) {
		return &next, nil
	}
	err := k.locked(func() error {
		if others := k.otherSysctls(c.Path); len(others) > 0 {
			next.Before = others[0].Before
			return nil
		}
		var err error
		next.Before, err = k.readSysctl(c.Path)
		return err
	})
	return &next, err
}

// isOf reports whether it is the interface's own.
func (c *sysctl) isOf(dev string) bool { return strings.Contains(c.Path, "/conf/"+dev+"/") }

// do sets the value. Where the kernel's settings are read-only, as in
// containers, they stay, with a warning.
func (c *sysctl) do(k *kernel, _ change) error {
	now, err := k.readSysctl(c.Path)
	if err == nil && now == c.Value {
		return nil
	}
	if err == nil {
		err = k.writeSysctl(c.Path, c.Value)
	}
	if errors.Is(err, unix.EROFS) {
		c.kept = true
		k.warn("%s stays %s, since this system's settings are read-only: with rp_filter=1, answers may be lost", c.name(), now)
		return nil
	}
	if err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", c.name(), c.Value, err)
	}
	return nil
}

// undo brings the value back, unless somebody else has changed it, or needs it.
func (c *sysctl) undo(k *kernel) error {
	err := k.locked(func() error {
		if c.Before == "" || len(k.otherSysctls(c.Path)) > 0 {
			return nil
		}
		now, err := k.readSysctl(c.Path)
		if err != nil || now != c.Value {
			return err
		}
		return k.writeSysctl(c.Path, c.Before)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("sysctl %s=%s: %w", c.name(), c.Before, err)
	}
	return nil
}

// holds reports true also where the setting cannot be written, or is gone.
func (c *sysctl) holds(k *kernel) (bool, error) {
	now, err := k.readSysctl(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return now == c.Value || c.kept, err
}

// name is what sysctl(8) calls it. It takes slashes too, which names of
// interfaces with dots need.
func (c *sysctl) name() string {
	if strings.Contains(c.Path, ".") {
		return c.Path
	}
	return strings.ReplaceAll(c.Path, "/", ".")
}

func (c *sysctl) lines(string, change) []string {
	return []string{fmt.Sprintf("sysctl -q %s=%s", c.name(), c.Value)}
}

func (c *sysctl) undoLines(string) []string {
	if c.Before == "" || c.Before == c.Value {
		return nil
	}
	return []string{fmt.Sprintf("sysctl -q %s=%s", c.name(), c.Before)}
}

func (k *kernel) readSysctl(path string) (value string, err error) {
	err = k.try("read sysctl", func() error {
		return k.inner.do(func() error {
			b, err := os.ReadFile(filepath.Join("/proc/sys", path))
			value = strings.TrimSpace(string(b))
			return err
		})
	})
	return value, err
}

func (k *kernel) writeSysctl(path, value string) error {
	return k.try("write sysctl", func() error {
		return k.inner.do(func() error {
			return os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0)
		})
	})
}

// otherSysctls returns what the other instances' journals say of a setting.
func (k *kernel) otherSysctls(path string) []*sysctl {
	var out []*sysctl
	for _, j := range otherJournals(k.dir, k.tun) {
		for _, c := range j.Changes {
			if s, ok := c.(*sysctl); ok && s.Path == path {
				out = append(out, s)
			}
		}
	}
	return out
}
