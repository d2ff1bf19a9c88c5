package host_test

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestStatus checks the exit status of `multihop status` in an instance's life:
// 0 all is up, 1 something is not, 3 nothing runs.
func TestStatus(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	i := n.Chain(t, "mh0", files(r))
	status := func(when string, want int) {
		t.Helper()
		var out string
		var code int
		for end := time.Now().Add(startTime); ; time.Sleep(100 * time.Millisecond) {
			var err error
			out, err = n.Multihop("status", "mh0")
			var exit *exec.ExitError
			switch {
			case err == nil:
				code = 0
			case errors.As(err, &exit):
				code = exit.ExitCode()
			default:
				t.Fatal(err)
			}
			if code == want || time.Now().After(end) {
				break
			}
		}
		if code != want {
			t.Errorf("%s: exit status %d, want %d: %s", when, code, want, out)
		}
	}
	status("before up", 3)
	if err := r.Exit.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	i.Up(t)
	status("exit silent", 1)
	if err := r.Exit.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	bothHops(t, n)
	status("up", 0)
	i.Kill(t)
	status("kill -9", 3)
	i.Up(t)
	bothHops(t, n)
	status("restart", 0)
	i.Down(t)
	status("down", 3)
}

// TestWait checks that `up --wait` is up only with handshakes, and otherwise
// leaves nothing.
func TestWait(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	i := n.Chain(t, "mh0", files(r))
	before := n.State(t)
	if err := r.Exit.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if out, err := i.TryUp("--wait=3s"); err == nil {
		t.Errorf("up without a handshake:\n%s", out)
	}
	n.Same(t, before, "after up without a handshake")
	if err := r.Exit.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	i.Up(t, "--wait")
	s, err := i.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.Hops {
		if h.Peers[0].LatestHandshake.IsZero() {
			t.Errorf("hop %s is up without a handshake", h.Name)
		}
	}
	i.Down(t)
	n.Same(t, before, "after down")
}
