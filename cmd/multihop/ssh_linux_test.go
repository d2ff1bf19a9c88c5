package main

import (
	"os/exec"
	"slices"
	"testing"
)

func TestEnvironmentsAbove(t *testing.T) {
	below := exec.Command("sleep", "60")
	below.Env = []string{"SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22"}
	if err := below.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = below.Process.Kill()
		_ = below.Wait()
	}()
	envs := environmentsAbove(below.Process.Pid)
	if len(envs) == 0 || !slices.Equal(envs[0], append(below.Env, "")) {
		t.Errorf("environments %q, want first %q", envs, below.Env)
	}
	if got := parentIn("Name:\tx\nPPid:\t42\nUid:\t0\n"); got != 42 {
		t.Errorf("parent %d, want 42", got)
	}
	if got := parentIn("Name:\tx\n"); got != 0 {
		t.Errorf("parent %d of a process without", got)
	}
}
