package sock

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Even where the mode would let another user in, Accept does not.
func TestAcceptRefusesOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to connect as another user")
	}
	dir, err := os.MkdirTemp("", "sock") // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "a.sock")
	l, err := Listen(dir, PrivateDir, "a.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for p, m := range map[string]os.FileMode{dir: 0o755, path: 0o666} {
		if err := os.Chmod(p, m); err != nil {
			t.Fatal(err)
		}
	}
	accepted := make(chan string, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b [8]byte
			n, _ := c.Read(b[:])
			accepted <- string(b[:n])
			c.Close()
		}
	}()
	const nobody = 65534
	if err := sendAs(nobody, path, "nobody"); err != nil {
		t.Fatalf("the other user must get as far as Accept: %v", err)
	}
	if err := sendAs(0, path, "root"); err != nil {
		t.Fatal(err)
	}
	select {
	case who := <-accepted:
		if who != "root" {
			t.Errorf("accepted %q", who)
		}
	case <-time.After(5 * time.Second):
		t.Error("root was not accepted")
	}
}

// sendAs connects to path as user uid and writes s. A write that comes too late
// is no error.
func sendAs(uid int, path, s string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread's user is spoilt, and ends with it
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			done <- errno
			return
		}
		c, err := net.Dial("unix", path)
		if err == nil {
			_, _ = c.Write([]byte(s))
			c.Close()
		}
		done <- err
	}()
	return <-done
}
