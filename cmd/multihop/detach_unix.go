//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// childPipe is the descriptor of upPipe in a detached instance.
const childPipe = 3

// A child is a detached instance.
type child struct{ cmd *exec.Cmd }

// startDetached starts this program with the same arguments, in a session of its
// own and in the root folder, with log for its output. pipe is what it tells.
func startDetached(log *os.File) (_ *child, pipe *os.File, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("start detached: %w", err)
	}
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start detached: %w", err)
	}
	cmd := &exec.Cmd{
		Path: exe, Args: os.Args,
		Env:         append(childEnvironment(os.Environ()), upPipe+"="+strconv.Itoa(childPipe)),
		Stdout:      log,
		Stderr:      log,
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if stream := journalStream(log); stream != "" {
		cmd.Env = append(cmd.Env, "JOURNAL_STREAM="+stream)
	}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = pipe.Close()
		return nil, nil, fmt.Errorf("start detached: %w", err)
	}
	return &child{cmd}, pipe, nil
}

// interrupt asks the child to end.
func (c *child) interrupt() { _ = c.cmd.Process.Signal(syscall.SIGTERM) }

// wait waits for the child's end.
func (c *child) wait() error { return c.cmd.Wait() }

// release leaves the child to itself.
func (c *child) release() error { return c.cmd.Process.Release() }

// parentPipe returns the pipe to who started this process detached. What this
// process starts gets neither it nor its name. A hang-up does not end the process
// any more: it has no terminal.
func parentPipe() (*os.File, error) {
	fd, err := strconv.Atoi(os.Getenv(upPipe))
	if err != nil || fd != childPipe {
		return nil, fmt.Errorf("%s is for multihop itself: unset it", upPipe)
	}
	if err := os.Unsetenv(upPipe); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	signal.Ignore(syscall.SIGHUP)
	return os.NewFile(uintptr(fd), "pipe"), nil
}
