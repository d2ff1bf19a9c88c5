package main

import (
	"os"
	"slices"
	"testing"
)

// The environment of the process itself is the nearest: this test reads it the
// way it reads those above.
func TestEnvironmentsAbove(t *testing.T) {
	envs := environmentsAbove(os.Getpid())
	if len(envs) == 0 || !slices.ContainsFunc(envs[0], func(e string) bool { return e == "HOME="+os.Getenv("HOME") }) {
		t.Errorf("%d environments, and the first is not this process's", len(envs))
	}
	if got := parentIn("Name:\tx\nPPid:\t42\nUid:\t0\n"); got != 42 {
		t.Errorf("parent %d, want 42", got)
	}
	if got := parentIn("Name:\tx\n"); got != 0 {
		t.Errorf("parent %d of a process without", got)
	}
}
