package netlab_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// TestMachine checks that a machine's files and processes are its own.
func TestMachine(t *testing.T) {
	l := netlab.New(t)
	m := l.Machine("machine")
	run := func(script string) string {
		t.Helper()
		out, err := m.Run(context.Background(), "sh", "-c", script)
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return strings.TrimSpace(out)
	}

	t.Run("files", func(t *testing.T) {
		if got := run("ls -A /run /var/log | tr -d '\\n'"); got != "/run:/var/log:" {
			t.Errorf("/run and /var/log are not empty: %q", got)
		}
		name := l.Unique("file")
		run("mkdir /etc/" + name + " && echo inside > /etc/" + name + "/x && echo inside > /run/" + name + " && mv /etc/hostname /etc/hostname.old")
		for _, p := range []string{"/etc/" + name, "/run/" + name} {
			if _, err := os.Lstat(p); err == nil {
				t.Errorf("%s is seen outside", p)
			}
			if _, err := os.Lstat(filepath.Join(m.Root(), p)); err != nil {
				t.Errorf("below Root: %v", err)
			}
		}
		if _, err := os.Stat("/etc/hostname"); err != nil {
			t.Errorf("the machine's own file: %v", err)
		}
	})

	t.Run("processes", func(t *testing.T) {
		sleep, err := filepath.EvalSymlinks(netlab.RequireTool(t, "sleep", "coreutils"))
		if err != nil {
			t.Fatal(err)
		}
		before := len(m.Processes(sleep))
		// Its parent ends at once; it says what its id is.
		out := run("setsid sleep 1000 >/dev/null 2>&1 & echo $!")
		if n, err := strconv.Atoi(out); err != nil || n > 1000 {
			t.Errorf("process id %q is not of a new space", out)
		}
		var pids []int
		for end := time.Now().Add(2 * time.Second); len(pids) != before+1 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			pids = m.Processes(sleep)
		}
		if len(pids) != before+1 {
			t.Fatalf("%d processes, want %d", len(pids), before+1)
		}
		// An orphan that ends is not left as a zombie.
		if err := syscall.Kill(pids[len(pids)-1], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if got := run("cat /proc/" + out + "/stat 2>/dev/null; true"); got != "" {
			t.Errorf("still there: %s", got)
		}
	})

	t.Run("tunnel", func(t *testing.T) {
		program, err := netlab.Build(t.TempDir(), netlab.WireGuardGo)
		if err != nil {
			t.Fatal(err)
		}
		tunnel := m.StartTunnel(t, program, netlab.TunnelConfig{Name: l.Unique("wg"), PrivateKey: netlab.NewKey()})
		if _, err := tunnel.Get(); err != nil {
			t.Error(err)
		}
		if got := run("ls /run/wireguard"); got != tunnel.Config.Name+".sock" {
			t.Errorf("/run/wireguard has %q", got)
		}
	})
}

// TestOwn checks that a host answers for all addresses of a prefix.
func TestOwn(t *testing.T) {
	l := netlab.New(t)
	a, b := l.Host("a"), l.Host("b")
	l.Wire(a, "eth0", b, "eth0")
	a.Addr("eth0", "192.0.2.1/24", "2001:db8::1/64")
	b.Addr("eth0", "192.0.2.2/24", "2001:db8::2/64")
	a.Via("192.0.2.2", "203.0.113.0/24")
	a.Via("2001:db8::2", "2001:db8:99::/64")
	b.Own("203.0.113.0/24", "2001:db8:99::/64")
	b.ServeTarget(t)
	for _, addr := range []string{"203.0.113.1", "203.0.113.254", "2001:db8:99::1", "2001:db8:99::ffff"} {
		if _, err := a.Echo(netip.MustParseAddr(addr), 100, 2*time.Second); err != nil {
			t.Error(err)
		}
	}
}
