package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// upPipe names, in the environment of a detached instance, the descriptor by
// which it tells how its start goes.
const upPipe = "MULTIHOP_UP_PIPE"

func newUpCommand() *cobra.Command {
	o := new(order)
	verbose, dryRun := false, false
	cmd := &cobra.Command{
		Use:   "up FILE... | PROFILE",
		Short: "Start tunnels, and return once they are up",
		Long: text(`
Start a chain of files, or a profile, in the background, and return once every
hop on the host's network is configured, or with one line that says why not. With
--wait it returns only after a handshake with every peer, and undoes everything
if there is none. It logs to the journal ("journalctl -t multihop-NAME"), or to
/var/log/multihop/NAME.log where there is none.

--dry-run prints each change to the host, in the manner of wg-quick, and makes
none. (Names of endpoints are looked up.) --verbose prints them as they are made.

Where a kill switch or a route would cut the SSH session that it is called from,
it refuses, and says which setting keeps the session.

` + orderHelp),
		Example: text(`
  multihop up entry.conf exit.conf
  multihop up office --wait
  multihop up --dry-run entry.conf exit.conf --lan deny`),
		Args:              atLeastOneFile,
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.args = args
			switch {
			case dryRun:
				return o.dryRun(cmd.Context(), cmd.OutOrStdout(), newLogger(cmd.ErrOrStderr(), false))
			case os.Getenv(upPipe) != "":
				return o.runDetached(cmd.Context(), verbose, newLogger(cmd.ErrOrStderr(), false))
			}
			return o.detach(cmd.Context(), cmd.OutOrStdout(), newMeter(cmd.ErrOrStderr()))
		},
	}
	o.addFlags(cmd)
	addWaitFlag(cmd, o)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each change to the host")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done, and do nothing")
	return cmd
}

// detach starts this program again, detached, and waits until it says that the
// instance is up.
func (o *order) detach(ctx context.Context, out io.Writer, m *meter) error {
	name, err := o.tun()
	if err != nil {
		return err
	}
	log, where, err := openLog(name)
	if err != nil {
		return err
	}
	child, pipe, err := startDetached(log)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	defer func() { _ = pipe.Close() }()
	_ = log.Close() // the child's now
	defer context.AfterFunc(ctx, child.interrupt)()
	err = hearChild(pipe, out, m)
	if err == nil {
		fmt.Fprintf(out, "%s is up. It logs to %s.\n", name, where)
		return child.release()
	}
	status := child.wait()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s ended before it was up (%w): see %s", name, status, where)
	}
	return err
}

// runDetached is the other side of detach.
func (o *order) runDetached(ctx context.Context, verbose bool, log *slog.Logger) error {
	pipe, err := parentPipe()
	if err != nil {
		return err
	}
	o.detached = true
	return o.run(ctx, tellParent(pipe, verbose), log)
}

// childEnvironment returns what a detached instance gets of our environment:
// nothing by which it would take itself for another's service.
func childEnvironment(env []string) []string {
	var out []string
	for _, e := range env {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "JOURNAL_STREAM", "INVOCATION_ID":
		default:
			out = append(out, e)
		}
	}
	return out
}
