package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/router"
	api "multihop/router/control"
)

func newEventsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "events [TUN | PROFILE]",
		Short: "Follow what happens to a running instance",
		Long: text(`
Print what happens to an instance from now on, one line each, until it ends or
the command is interrupted: a hop goes up or down, and why; a handshake; a peer
that is heard from another address, or whose name has a new one; another MTU; a
group that fails over; changed routes; bursts of dropped packets.

With --json, one JSON object a line. An event of the kind "lost" says how many
were missed, because they were not read fast enough.

` + whichHelp),
		Example: text(`
  multihop events
  multihop events office --json | jq 'select(.kind == "failover")'`),
		Args:              atMostOneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return events(cmd.Context(), cmd.OutOrStdout(), control.Dir, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

func events(ctx context.Context, w io.Writer, dir string, args []string, asJSON bool) error {
	name, err := instanceOf(ctx, dir, args)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	lines := json.NewEncoder(w)
	err = control.NewClient(dir, name).Events(ctx, func(e control.Event) error {
		if asJSON {
			return lines.Encode(e)
		}
		_, err := fmt.Fprintln(w, eventLine(e))
		return err
	})
	if ctx.Err() != nil { // interrupted, which is how it ends
		return nil
	}
	return err
}

// eventLine prints an event: its time, what it is about, what happened.
func eventLine(e control.Event) string {
	about := e.Hop
	if e.Group != "" {
		about = e.Group
	}
	if about != "" {
		about = " " + about
	}
	return e.Time.Local().Format(time.TimeOnly) + about + " " + eventText(e)
}

func eventText(e control.Event) string {
	switch e.Kind {
	case router.EventDown:
		return upOrDown(true, e.Reason)
	case router.EventMTU:
		return fmt.Sprintf("mtu %d", e.MTU)
	case router.EventRoam:
		return fmt.Sprintf("roam: peer %s is at %s", e.Peer, e.Endpoint)
	case router.EventResolved:
		return fmt.Sprintf("resolved: peer %s may be at %s", e.Peer, e.Endpoint)
	case router.EventFailover:
		return fmt.Sprintf("failover: from %s to %s: %s", e.Was, e.Hop, e.Reason)
	case router.EventRoutes:
		return fmt.Sprintf("routes changed: %d prefixes", e.Prefixes)
	case router.EventDrops:
		return fmt.Sprintf("drops: %s %d", e.Drop, e.Count)
	case api.EventLost:
		return fmt.Sprintf("lost: %d events were not read in time", e.Count)
	}
	return strings.TrimSpace(string(e.Kind) + " " + e.Reason) // up, handshake, and what is new
}
