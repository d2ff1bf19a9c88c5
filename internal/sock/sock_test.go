//go:build unix

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestListen(t *testing.T) {
	old := syscall.Umask(0) // the widest: the modes below must not depend on it
	t.Cleanup(func() { syscall.Umask(old) })
	dir := filepath.Join(t.TempDir(), "d")
	l, err := Listen(dir, PrivateDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	wantMode(t, dir, fs.ModeDir|0o700)
	wantMode(t, filepath.Join(dir, "a.sock"), fs.ModeSocket|0o600)
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("directory holds %v, want the socket alone", names)
	}
	if _, err := Listen(dir, PrivateDir, "a.sock"); !errors.Is(err, ErrInUse) {
		t.Errorf("second Listen: %v, want ErrInUse", err)
	}
	exchange(t, l, filepath.Join(dir, "a.sock"))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("after Close the directory holds %v", names)
	}
}

func TestListenReplacesStale(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen(dir, SharedDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	exchange(t, l, path)
}

// What a process leaves that is killed in the middle does not stay.
func TestListenAfterKill(t *testing.T) {
	dir := t.TempDir()
	leave := func() {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, privateName), 0o700); err != nil {
			t.Fatal(err)
		}
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, privateName, "s"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
	}
	leave()
	l, err := Listen(dir, SharedDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, l, filepath.Join(dir, "a.sock"))
	leave()
	if err := Clean(dir); err != nil {
		t.Error(err)
	}
	if err := Clean(dir); err != nil {
		t.Errorf("nothing to clean: %v", err)
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("directory holds %v, want the socket alone", names)
	}
	l.Close()
}

// Several that listen at once do not disturb one another.
func TestListenAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			l, err := Listen(dir, SharedDir, fmt.Sprintf("%d.sock", i))
			if err != nil {
				t.Error(err)
				return
			}
			l.Close()
		})
	}
	wg.Wait()
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("directory holds %v", names)
	}
}

// A listener whose name was taken over leaves the new owner's socket alone.
func TestCloseKeepsForeignSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	l, err := Listen(dir, SharedDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(dir, SharedDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	l.Close()
	exchange(t, second, path)
}

func TestListenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		prepare func(t *testing.T, dir string)
		want    string
	}{
		{"a plain file", "a.sock", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "a.sock"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket"},
		{"an open directory", "a.sock", func(t *testing.T, dir string) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, "wider than"},
		{"a path", "../a.sock", nil, "not a file name"},
		{"no name", "", nil, "not a file name"},
		{"a long name", strings.Repeat("x", 200), nil, "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			l, err := Listen(dir, SharedDir, tt.file)
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Listen: %v, want %q", err, tt.want)
			}
		})
	}
}

// exchange proves that l accepts on path.
func exchange(t *testing.T, l net.Listener, path string) {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != want {
		t.Errorf("%s: mode %v, want %v", path, info.Mode(), want)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
