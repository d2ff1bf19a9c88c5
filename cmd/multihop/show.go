package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
)

// askTimeout bounds a question to a running instance.
const askTimeout = 5 * time.Second

func newShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [TUN | PROFILE]",
		Short: "Show the hops of a running instance",
		Long: text(`
Show what a running instance does: its TUN, what the host was told of it, and a
block per hop laid out as "wg show" does it, with the hop's carrier, its
addresses, its MTU, its packets and what was dropped, by reason. Without a name,
every instance is shown.

It warns of tunnels that are nested by accident: another WireGuard interface of
this host whose own packets go into this TUN, or this one's into another.

With --json, one JSON object per instance. Times are RFC 3339, durations are in
nanoseconds. Private and preshared keys are never shown.`),
		Example: text(`
  multihop show
  multihop show mh0 --json | jq '.hops[].peers[].latest_handshake'`),
		Args:              atMostOneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd.Context(), cmd.OutOrStdout(), control.Dir, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func show(ctx context.Context, w io.Writer, dir string, args []string, asJSON bool) error {
	names, err := control.Names(dir)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		name, err := named(dir, args[0])
		if err != nil {
			return fmt.Errorf("show: %w", err)
		}
		names = []string{name}
	}
	shown := 0
	var errs, crashed []error
	for _, name := range names {
		s, err := askStatus(ctx, dir, name)
		if left := leftBy(dir, name); notRunning(err) && left != "" {
			crashed = append(crashed, fmt.Errorf("%w: %s", err, left))
			continue
		} else if len(args) == 0 && notRunning(err) {
			continue // a socket alone
		}
		if err != nil { // the others may answer
			errs = append(errs, err)
			continue
		}
		if shown > 0 && !asJSON {
			fmt.Fprintln(w)
		}
		shown++
		if err := printStatus(w, s, asJSON); err != nil {
			return err
		}
	}
	if shown == 0 {
		errs = append(errs, crashed...)
	} else if !asJSON { // said, but no reason to fail: what was asked about runs
		for _, err := range crashed {
			fmt.Fprintf(w, "\nnote: %v\n", err)
		}
	}
	if shown == 0 && len(errs) == 0 {
		return errNoInstance
	}
	return errors.Join(errs...)
}

var errNoInstance = errors.New("no instance is running: start one with multihop up")

func askStatus(ctx context.Context, dir, name string) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return control.NewClient(dir, name).Status(ctx)
}

func printStatus(w io.Writer, s control.Status, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	return writeStatus(w, s, time.Now())
}

// theInstance returns name, or that of the one instance that runs.
func theInstance(ctx context.Context, dir, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	names, err := control.Names(dir)
	if err != nil {
		return "", err
	}
	var running []string
	for _, n := range names {
		if _, err := askStatus(ctx, dir, n); !notRunning(err) {
			running = append(running, n)
		}
	}
	switch len(running) {
	case 0:
		return "", errNoInstance
	case 1:
		return running[0], nil
	}
	return "", fmt.Errorf("several instances run: name one of %s", strings.Join(running, ", "))
}
