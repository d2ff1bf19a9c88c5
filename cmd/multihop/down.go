package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/internal/host"
	"multihop/internal/sock"
	"multihop/internal/uapi"
)

// stopTimeout bounds the wait for an instance to end: its hooks may take their
// time.
const stopTimeout = 3 * time.Minute

func newDownCommand() *cobra.Command {
	verbose := false
	cmd := &cobra.Command{
		Use:   "down TUN | PROFILE",
		Short: "End tunnels, and undo what they changed on the host",
		Long: text(`
Ask a running instance to end, and wait until it has undone everything. If it is
not there any more, because it crashed or was killed, undo what it left, by what
it wrote down in /run/multihop. If there is nothing to undo, that is no error.

` + whichHelp),
		Example: text(`
  multihop down mh0
  multihop down office`),
		Args:              oneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			var trace func(string)
			if verbose {
				trace = func(line string) { fmt.Fprintln(cmd.OutOrStdout(), line) }
			}
			return down(cmd.Context(), cmd.OutOrStdout(), control.Dir, args[0], trace)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each change that is made for one that crashed")
	return cmd
}

// down ends an instance. trace is told each change that is made for one that
// crashed; nil: nobody.
func down(ctx context.Context, out io.Writer, dir, arg string, trace func(string)) error {
	name, err := named(dir, arg)
	if err != nil {
		return fmt.Errorf("down: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err = control.NewClient(dir, name).Stop(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, control.ErrNoAnswer):
		return fmt.Errorf("%w: kill it (SIGKILL), and then multihop down %s again undoes what it leaves", err, name)
	case !notRunning(err):
		return err
	}
	undone, err := clean(name, dir, trace)
	switch {
	case err != nil:
		return err
	case undone:
		fmt.Fprintf(out, "%s was not running: what it left is undone.\n", name)
	default:
		fmt.Fprintf(out, "%s is not running, and has left nothing.\n", name)
	}
	return nil
}

// clean undoes what a dead instance left, holding its name meanwhile.
func clean(name, dir string, trace func(string)) (undone bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	socket := filepath.Join(dir, name+".sock")
	if _, err := os.Lstat(socket); err == nil {
		undone = true
	}
	l, err := control.Listen(dir, name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	o := &host.Options{
		Dir: dir,
		Trace: func(line string) {
			undone = true
			if trace != nil {
				trace(line)
			}
		},
		Traced: func() bool { return !undone || trace != nil },
	}
	if err := host.Clean(name, o); err != nil {
		return undone, err
	}
	return undone, errors.Join(
		removeDeadUAPI(uapi.Dir, name),
		sock.Clean(uapi.Dir),
		control.ForgetProfile(dir, name),
	)
}

// removeDeadUAPI removes the sockets by which wg knew the hops of a dead
// instance. Those on which somebody listens are another's.
func removeDeadUAPI(dir, name string) error {
	paths, err := filepath.Glob(filepath.Join(dir, uapi.Name(name, "*")+".sock")) // names have nothing that Glob knows
	if err != nil {
		return err
	}
	for _, p := range paths {
		l, err := sock.Listen(dir, sock.SharedDir, filepath.Base(p))
		if errors.Is(err, sock.ErrInUse) {
			continue
		}
		if err == nil {
			err = l.Close() // and with it the name
		}
		if err != nil {
			return err
		}
	}
	return nil
}
