//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// killGroup has the end of cmd's context kill all that cmd started, too.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
