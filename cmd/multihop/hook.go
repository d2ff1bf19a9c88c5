package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"multihop/conf"
)

const (
	hookTime   = time.Minute // each command's
	hookGrace  = time.Second // for what it started and left behind with its output
	hookOutput = 64 << 10    // bytes of output that are kept
)

// hooks runs the commands that a profile, a file or a flag gives for a stage of
// an instance's life, as wg-quick does: by bash, with %i for the TUN's name.
type hooks struct {
	tun   string
	log   *slog.Logger
	trace func(line string) // "[#] ..."
}

// run runs the commands of a stage in their order, and stops at the first that
// fails. Each has a minute; then it is killed, with what it started.
func (h *hooks) run(ctx context.Context, stage string, list []conf.Hook) error {
	for i, hook := range list {
		what := hookName(stage, i, len(list))
		h.trace(hookLine(stage, i, len(list)))
		if err := h.one(ctx, what, strings.ReplaceAll(hook.Command, "%i", h.tun)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// hookName names one of the commands of a stage.
func hookName(stage string, i, of int) string {
	if of == 1 {
		return stage
	}
	return fmt.Sprintf("%s %d", stage, i+1)
}

// hookLine stands for a command among the changes: the command itself may hold a
// secret.
func hookLine(stage string, i, of int) string { return "[#] (" + hookName(stage, i, of) + ")" }

func (h *hooks) one(ctx context.Context, what, command string) error {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Env = hookEnvironment(os.Environ())
	cmd.WaitDelay = hookGrace
	killGroup(cmd)
	out := &tail{most: hookOutput}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	for line := range bytes.Lines(out.kept) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			h.log.Info(string(line), "hook", what)
		}
	}
	switch exit := (*exec.ExitError)(nil); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a daemon that keeps the output open may
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it took longer than %v, and was killed", hookTime)
	case errors.As(err, &exit):
		if last := out.last(); last != "" {
			return fmt.Errorf("%w: %s", err, last)
		}
		return err
	default:
		return err
	}
}

// hookEnvironment returns what a hook gets of our environment: nothing that may
// be a secret, or tell it that it is a service of systemd's.
func hookEnvironment(env []string) []string {
	var out []string
	path := false
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case name == "PATH":
			path = true
		case name == "HOME", name == "USER", name == "LOGNAME", name == "SHELL", name == "TERM", name == "TZ",
			name == "LANG", strings.HasPrefix(name, "LC_"):
		default:
			continue
		}
		out = append(out, e)
	}
	if !path {
		out = append(out, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return out
}

// A tail keeps the last bytes that are written to it.
type tail struct {
	most int
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - t.most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// last returns the last line that is not blank.
func (t *tail) last() string {
	text := strings.TrimSpace(string(t.kept))
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
