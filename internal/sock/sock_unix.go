//go:build unix

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mode is a socket's own.
const mode fs.FileMode = 0o600

// Listen listens on the socket dir/name. The directory is made with the
// permissions perm if it does not exist; one that exists must belong to this
// user or to root and must not grant more than perm. Closing the listener
// removes the socket, if the name is still its own.
func Listen(dir string, perm fs.FileMode, name string) (net.Listener, error) {
	path := filepath.Join(dir, name)
	if filepath.Dir(path) != filepath.Clean(dir) {
		return nil, fmt.Errorf("sock: %q is not a file name", name)
	}
	if limit := len(unix.RawSockaddrUnix{}.Path) - 1; len(path) > limit {
		return nil, fmt.Errorf("sock: %s: longer than the %d bytes of a socket's path", path, limit)
	}
	if err := makeDir(dir, perm); err != nil {
		return nil, fmt.Errorf("sock: %w", err)
	}
	l, err := bind(dir, path)
	if err != nil {
		return nil, fmt.Errorf("sock: %w", err)
	}
	return l, nil
}

// makeDir makes dir, or checks the one that is there.
func makeDir(dir string, perm fs.FileMode) error {
	if err := os.MkdirAll(dir, perm); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if extra := info.Mode().Perm() &^ perm; extra != 0 {
		return fmt.Errorf("%s: permissions %#o are wider than %#o: chmod %o %s", dir, info.Mode().Perm(), perm, perm, dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: belongs to user %d, not to root nor to this user", dir, st.Uid)
	}
	return nil
}

// bind makes the socket under a private name and links it to path.
func bind(dir, path string) (_ net.Listener, err error) {
	p, err := takePrivate(dir)
	if err != nil {
		return nil, err
	}
	defer p.remove()

	hidden := filepath.Join(p.path, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the hidden name
	defer func() {
		if err != nil {
			_ = l.Close()
		}
	}()
	if err := os.Chmod(hidden, mode); err != nil {
		return nil, err
	}
	if err := link(hidden, path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return &listener{UnixListener: l, path: path, info: info}, nil
}

// link gives the socket its name, over that of a dead process if need be.
func link(hidden, path string) error {
	err := os.Link(hidden, path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := removeStale(path); err != nil {
		return err
	}
	return os.Link(hidden, path)
}

// removeStale removes path if it is a socket on which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: exists and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return os.Remove(path)
}

// A listener removes its own name once, and accepts trusted peers only.
type listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo // of path as this listener made it
	once sync.Once
	err  error // of the first Close
}

// Accept returns the next connection of a trusted peer; others are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(c)
		if err == nil && (uid == 0 || uid == os.Geteuid()) {
			return c, nil
		}
		_ = c.Close()
	}
}

// Close is idempotent.
func (l *listener) Close() error {
	l.once.Do(func() {
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.info) {
			_ = os.Remove(l.path)
		}
		l.err = l.UnixListener.Close()
	})
	return l.err
}
