package host

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/e2e"
)

// Multihop runs a command of the binary under test on the host to its end.
func (n *Network) Multihop(args ...string) (string, error) {
	return n.Run(n.Programs.Multihop, args...)
}

// An Instance is a name that multihop goes by on the host, and the arguments of
// its `up`.
type Instance struct {
	Name string
	Args []string

	net *Network
}

// Instance is one with the arguments of `up` after --name. Whatever is left of
// it at the end of the test is shown, if that failed.
func (n *Network) Instance(tb testing.TB, name string, args ...string) *Instance {
	tb.Helper()
	i := &Instance{Name: name, Args: args, net: n}
	tb.Cleanup(func() {
		said := i.Log()
		if strings.Contains(said, "WARNING: DATA RACE") || strings.Contains(said, "panic:") {
			tb.Error("multihop reported a data race or a panic")
		}
		if tb.Failed() {
			tb.Logf("log of %s:\n%s", name, said)
		}
	})
	return i
}

// Chain is an Instance of the files, each written to the host's /etc/chain, and
// further arguments.
func (n *Network) Chain(tb testing.TB, name string, files []File, args ...string) *Instance {
	tb.Helper()
	all := slices.Clone(args)
	for _, f := range files {
		all = append(all, n.Write(tb, "/etc/chain", f))
	}
	return n.Instance(tb, name, all...)
}

// Profile is an Instance of a profile, which is written to the host's
// /etc/multihop, with the files of its hops. It goes by the profile's name.
func (n *Network) Profile(tb testing.TB, profile File, hops ...File) *Instance {
	tb.Helper()
	for _, f := range append(hops, profile) {
		n.Write(tb, "/etc/multihop", f)
	}
	name := strings.TrimSuffix(profile.Name, ".conf")
	return n.Instance(tb, name, name)
}

// Up is `multihop up`. It fails the test if that fails.
func (i *Instance) Up(tb testing.TB, more ...string) {
	tb.Helper()
	if out, err := i.TryUp(more...); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
}

// TryUp is `multihop up`.
func (i *Instance) TryUp(more ...string) (string, error) {
	args := append([]string{"up", "--name", i.Name}, more...)
	return i.net.Multihop(append(args, i.Args...)...)
}

// Down is `multihop down`. It fails the test if that fails.
func (i *Instance) Down(tb testing.TB) {
	tb.Helper()
	if out, err := i.net.Multihop("down", i.Name); err != nil {
		tb.Errorf("%v\n%s", err, out)
	}
}

// Reload is `multihop reload`. It fails the test if that fails.
func (i *Instance) Reload(tb testing.TB) {
	tb.Helper()
	if out, err := i.net.Multihop("reload", i.Name); err != nil {
		tb.Errorf("%v\n%s", err, out)
	}
}

// Log is what the detached process has logged.
func (i *Instance) Log() string { return i.net.Read("/var/log/multihop/" + i.Name + ".log") }

// PID is the id of the process that answers for the instance: the kernel says
// it of the control socket's other end.
func (i *Instance) PID() (int, error) {
	path := filepath.Join(i.net.Host.Root(), "/run/multihop", i.Name+".sock")
	c, err := net.Dial("unix", path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	rc, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if cerr := rc.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// Kill ends the process by SIGKILL, and returns once it is gone.
func (i *Instance) Kill(tb testing.TB) {
	tb.Helper()
	pid, err := i.PID()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		tb.Fatalf("kill -9 %s: %v", i.Name, err)
	}
	for end := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s does not end by SIGKILL", i.Name)
		}
	}
}

// Show is what `multihop show` says of the instance.
func (i *Instance) Show(tb testing.TB) string {
	tb.Helper()
	out, err := i.net.Multihop("show", i.Name)
	if err != nil {
		tb.Errorf("%v\n%s", err, out)
	}
	return out
}

// Status is what `multihop show --json` says of the instance.
func (i *Instance) Status() (*e2e.Status, error) {
	out, err := i.net.Multihop("show", "--json", i.Name)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	s := new(e2e.Status)
	if err := json.Unmarshal([]byte(out), s); err != nil {
		return nil, fmt.Errorf("show --json: %w\n%s", err, out)
	}
	return s, nil
}
