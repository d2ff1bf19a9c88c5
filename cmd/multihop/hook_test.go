//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/conf"
)

// runHooks runs commands as PostUp of mh0 and returns what was traced and
// logged.
func runHooks(t *testing.T, ctx context.Context, commands ...string) (traced []string, logged string, err error) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash (Debian package bash)")
	}
	var log bytes.Buffer
	h := &hooks{tun: "mh0", log: slog.New(slog.NewTextHandler(&log, nil)), trace: func(s string) { traced = append(traced, s) }}
	var list []conf.Hook
	for _, c := range commands {
		list = append(list, conf.Hook{Command: c})
	}
	err = h.run(ctx, "PostUp", list)
	return traced, log.String(), err
}

func TestHooks(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22") // what a hook does not get
	t.Setenv("LC_ALL", "C")
	tests := []struct {
		name     string
		commands []string
		want     string // what the commands write to out
		fail     string // what the error says
		logged   string
	}{
		{"in their order", []string{"echo a >> out", "echo b >> out"}, "a\nb\n", "", ""},
		{"%i", []string{"echo %i %i >> out"}, "mh0 mh0\n", "", ""},
		{"bash", []string{"[[ a == a ]] && echo yes > out"}, "yes\n", "", ""},
		{"the first that fails is the last", []string{"echo a >> out", "exit 3", "echo b >> out"}, "a\n", "PostUp 2: exit status 3", ""},
		{"its last words", []string{"echo one; echo two >&2; exit 1"}, "", "PostUp: exit status 1: two", "msg=one"},
		{"environment", []string{"echo $LC_ALL-$SSH_CONNECTION- > out"}, "C--\n", "", ""},
		{"a daemon may stay", []string{"sleep 30 & echo $! > pid; echo up > out"}, "up\n", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(dir, "out")
			_ = os.Remove(out)
			var commands []string
			for _, c := range tt.commands {
				commands = append(commands, "cd '"+dir+"'; "+c)
			}
			traced, logged, err := runHooks(t, t.Context(), commands...)
			if (err == nil) != (tt.fail == "") || err != nil && err.Error() != tt.fail {
				t.Errorf("error %v, want %q", err, tt.fail)
			}
			if got, _ := os.ReadFile(out); string(got) != tt.want {
				t.Errorf("wrote %q, want %q", got, tt.want)
			}
			if !strings.Contains(logged, tt.logged) {
				t.Errorf("logged %q, want %q", logged, tt.logged)
			}
			if len(traced) == 0 || strings.Contains(strings.Join(traced, ""), "cd ") {
				t.Errorf("traced %q, want the commands counted and not repeated", traced)
			}
		})
	}
	if pid, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
		_ = exec.Command("kill", strings.TrimSpace(string(pid))).Run()
	}
}

// What a hook started ends with it when its time is over.
func TestHookIsKilledWithWhatItStarted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err := runHooks(t, ctx, "cd '"+dir+"'; (sleep 2; echo late > out) & sleep 60")
	if err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	time.Sleep(2500*time.Millisecond - time.Since(began))
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
		t.Error("what the hook started went on")
	}
}

func TestHookEnvironment(t *testing.T) {
	got := hookEnvironment([]string{"HOME=/root", "NOTIFY_SOCKET=/run/systemd/notify", "TOKEN=s3cret", "LC_CTYPE=C.UTF-8", "LANGUAGE=de"})
	want := []string{"HOME=/root", "LC_CTYPE=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTail(t *testing.T) {
	out := &tail{most: 8}
	for _, s := range []string{"first line\n", "second\n", "\n"} {
		if n, err := out.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	if string(out.kept) != "second\n\n" || out.last() != "second" {
		t.Errorf("kept %q, last %q", out.kept, out.last())
	}
}
