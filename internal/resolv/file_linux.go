package resolv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const maxFile = 64 << 10 // bytes of a resolv.conf

// read returns what is at resolv.conf.
func (y *System) read() (Original, error) {
	path := y.path(resolvConf)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Original{}, nil
	}
	if err != nil {
		return Original{}, fmt.Errorf("resolv: %w", err)
	}
	var o Original
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		o.Symlink, err = os.Readlink(path)
	case 0:
		o.Mode = uint32(info.Mode().Perm())
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			o.UID, o.GID = st.Uid, st.Gid
		}
	default:
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return Original{}, fmt.Errorf("resolv: %w", err)
	}
	if o.Content, err = readAll(path); errors.Is(err, fs.ErrNotExist) && o.Symlink != "" {
		err = nil // it leads nowhere
	}
	if err != nil {
		return Original{}, fmt.Errorf("resolv: %w", err)
	}
	return o, nil
}

// readAll reads a file that is not unreasonably large.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return b, err
}

// replaceFile puts the layer of r on top of what is at resolv.conf now, which
// may be newer than what r says. A layer that is there already stays where it is.
func (y *System) replaceFile(ctx context.Context, r Record) error {
	unlock, err := y.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := y.read()
	if err != nil {
		return err
	}
	if l, ok := now.find(r.Link); ok && l.Body == r.body() {
		return nil
	}
	l := layer{Link: r.Link, Before: now.without(y.gone(r.Link)), Body: r.body()}
	if r.damaged(now) {
		l.Before = *r.File
	}
	return y.put(now, Original{Content: l.bytes(), Mode: 0o644})
}

// restoreFile takes the layer of r away.
func (y *System) restoreFile(ctx context.Context, r Record) error {
	unlock, err := y.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := y.read()
	if err != nil {
		return err
	}
	if _, ok := now.find(r.Link); ok {
		return y.put(now, now.without(func(link string) bool { return link == r.Link }))
	}
	bottom := r.File.without(func(string) bool { return true })
	switch {
	case r.damaged(now):
		return y.put(now, *r.File)
	case now.same(bottom), now.isLayer(): // undone already; by another TUN of ours, perhaps
		return nil
	}
	return fmt.Errorf("resolv: %s: %w", resolvConf, ErrChanged)
}

// damaged reports whether now is what a crash left of the file of r.
func (r Record) damaged(now Original) bool {
	return (now.Symlink == "" || now.Symlink == r.File.Symlink) && damaged(now.Content, r.Link)
}

// exists reports whether there is a file.
func (o Original) exists() bool { return o.Symlink != "" || o.Mode != 0 }

// same reports whether o and p are the same file. What a link leads to is not
// part of it.
func (o Original) same(p Original) bool {
	if o.Symlink != "" || p.Symlink != "" {
		return o.Symlink == p.Symlink
	}
	return o.exists() == p.exists() && string(o.Content) == string(p.Content)
}

// put makes o what is at resolv.conf, where now is: by rename, else in place.
func (y *System) put(now, o Original) error {
	var err error
	if o.Symlink == "" || o.Symlink != now.Symlink { // else the file that it leads to was written
		if err = y.rename(o); err == nil {
			return nil
		}
		if !inPlace(err) {
			return fmt.Errorf("resolv: %w", err)
		}
	}
	if err := y.overwrite(o.Content); err != nil {
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("resolv: %w: is it immutable? (chattr -i)", err)
		}
		return fmt.Errorf("resolv: %w", err)
	}
	return nil
}

// inPlace reports of an error whether a file can be written all the same: it is
// a mount point, or its folder is read-only.
func inPlace(err error) bool {
	for _, e := range []error{unix.EBUSY, unix.EROFS, unix.EACCES, unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// rename puts o in place, at one stroke.
func (y *System) rename(o Original) error {
	path := y.path(resolvConf)
	if !o.exists() {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	temp := filepath.Join(filepath.Dir(path), ".resolv.conf.multihop") // ours alone, while locked
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := o.create(temp)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// create makes o at path, where there is nothing.
func (o Original) create(path string) error {
	if o.Symlink != "" {
		return os.Symlink(o.Symlink, path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(o.Content)
	err = errors.Join(err, f.Chown(int(o.UID), int(o.GID)), f.Chmod(fs.FileMode(o.Mode)), f.Sync(), f.Close())
	return err
}

// overwrite writes the file that resolv.conf is or leads to. It is cut before it
// is written, and never to nothing: a crash in between leaves what Undo knows.
func (y *System) overwrite(content []byte) error {
	f, err := os.OpenFile(y.path(resolvConf), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > int64(len(content)) {
		err = f.Truncate(int64(len(content)))
	}
	if err == nil {
		_, err = f.Write(content)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// lock keeps the other TUNs of this host from changing resolv.conf until
// unlock. The lock is one of the folder, and so leaves nothing behind.
func (y *System) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.Open(filepath.Dir(y.path(resolvConf)))
	if err != nil {
		return nil, fmt.Errorf("resolv: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("resolv: lock %s: %w", f.Name(), err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("resolv: lock %s: %w", f.Name(), context.Cause(ctx))
		}
	}
}
