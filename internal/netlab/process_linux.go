package netlab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopTime is how long Stop waits before it kills.
const stopTime = 10 * time.Second

// A Process is a program that runs on a host.
type Process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// Start starts the program name on h. Its environment is PATH, HOME and env
// only. It is killed when the test ends, and when the test process dies.
func (h *Host) Start(tb testing.TB, env []string, name string, args ...string) *Process {
	tb.Helper()
	p := &Process{cmd: h.command(context.Background(), env, name, args), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	var err error
	h.onThread(func() { err = p.cmd.Start() })
	if err != nil {
		tb.Fatalf("netlab: %s: start: %v", h.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() { p.Kill() })
	return p
}

// Run runs the program name on h to its end and returns what it wrote to
// standard output and error, together.
func (h *Host) Run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := h.command(ctx, nil, name, args)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	var err error
	h.onThread(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("netlab: %s: %s %s: %w", h.Name, name, strings.Join(args, " "), err)
	}
	return out.String(), err
}

func (h *Host) command(ctx context.Context, env []string, name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)
	if !h.reaped {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	return cmd
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the process has written to standard output and error so far.
func (p *Process) Output() string { return p.out.String() }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end of the process and returns what exec.Cmd.Wait says
// of it. ok is false when it did not end in time.
func (p *Process) Wait(timeout time.Duration) (err error, ok bool) {
	select {
	case <-p.done:
		return p.err, true
	case <-time.After(timeout):
		return nil, false
	}
}

// Signal sends sig to the process.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop ends the process by SIGTERM, or by SIGKILL when it takes too long, and
// waits for its end. It returns what Wait says.
func (p *Process) Stop() error {
	_ = p.Signal(syscall.SIGTERM)
	if err, ok := p.Wait(stopTime); ok {
		return err
	}
	p.Kill()
	return fmt.Errorf("netlab: %s did not end within %v of SIGTERM", p.cmd.Path, stopTime)
}

// Kill ends the process by SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// CPU is the time that the process's threads have spent so far, user and
// system. It is zero once the process has ended.
func (p *Process) CPU() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0
	}
	// proc_pid_stat(5): after the command's closing parenthesis, field 3 is the
	// state; utime and stime are fields 14 and 15, in ticks of 10 ms.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	user, _ := strconv.Atoi(string(f[14-3]))
	sys, _ := strconv.Atoi(string(f[15-3]))
	return time.Duration(user+sys) * 10 * time.Millisecond
}

// PeakRSS is the largest resident set of the process so far, in bytes.
func (p *Process) PeakRSS() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// An output collects what a process writes, up to a bound.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	const most = 1 << 20
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() < most {
		o.buf.Write(b)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
