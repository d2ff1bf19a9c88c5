package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/router"
)

// Exit statuses of status, as those of an init script's (LSB).
const (
	exitTrouble    = 1
	exitNotRunning = 3
)

// A statusError ends the process with a status of its own, and without a word on
// stderr.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func newStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [TUN | PROFILE]",
		Short: "Say in one line, and by the exit status, whether tunnels are up",
		Long: text(`
Say in one line whether an instance is up, for scripts. Without an argument, one
line for each that runs, or has crashed and left something. The exit status is

  0  if it runs and every hop is up and has had a handshake with every peer,
  1  if it runs, but a hop is down, or has never had a handshake, or it does not
     answer,
  3  if it does not run.

A hop makes its first handshake when there is a packet to send, or at once with
PersistentKeepalive. Of several instances, the worst counts.

` + whichHelp),
		Example: text(`
  multihop status office || multihop up office
  multihop status mh0`),
		Args:              atMostOneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return status(cmd.Context(), cmd.OutOrStdout(), control.Dir, args)
		},
	}
}

func status(ctx context.Context, out io.Writer, dir string, args []string) error {
	names, err := control.Names(dir)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		name, err := named(dir, args[0])
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		names = []string{name}
	}
	worst, told := 0, false
	for _, name := range names {
		s, err := askStatus(ctx, dir, name)
		if notRunning(err) && len(args) == 0 && leftBy(dir, name) == "" {
			continue // a socket alone
		}
		told = true
		line, code := verdictOn(name, s, err)
		if left := leftBy(dir, name); notRunning(err) && left != "" {
			line += "; " + left
		}
		fmt.Fprintln(out, line)
		worst = max(worst, code)
	}
	if !told {
		fmt.Fprintln(out, "not running")
		worst = exitNotRunning
	}
	if worst != 0 {
		return &statusError{worst}
	}
	return nil
}

// verdictOn returns what status says of an instance, and its exit status.
func verdictOn(name string, s control.Status, err error) (string, int) {
	switch {
	case notRunning(err):
		return name + ": not running", exitNotRunning
	case errors.Is(err, control.ErrNoAnswer):
		return err.Error(), exitTrouble
	case err != nil:
		return err.Error(), exitTrouble
	}
	var bad []string
	missing := make(map[string]bool)
	for _, h := range silent(s.Status) {
		missing[h] = true
	}
	for _, h := range s.Hops {
		switch {
		case h.Down:
			bad = append(bad, "hop "+h.Name+" is "+upOrDown(h.Down, h.Reason))
		case missing[h.Name]:
			bad = append(bad, "hop "+h.Name+" has had no handshake"+nameless(h))
		}
	}
	if len(bad) > 0 {
		return name + ": running, but " + strings.Join(bad, "; "), exitTrouble
	}
	hops := "hops"
	if len(s.Hops) == 1 {
		hops = "hop"
	}
	return fmt.Sprintf("%s: running, %d %s up", name, len(s.Hops), hops), 0
}

// nameless says which endpoint of a hop has no address, if that is why.
func nameless(h router.HopStatus) string {
	for _, p := range h.Peers {
		if p.Endpoint == "" && p.EndpointError != "" {
			return " (" + p.EndpointError + ")"
		}
	}
	return ""
}
