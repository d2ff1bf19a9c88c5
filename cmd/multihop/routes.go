package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/router"
)

func newRoutesCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "routes [TUN | PROFILE]",
		Short: "List the routes of a running instance",
		Long: text(`
List the routes in force, one a line: the prefix, the hop that has its packets
now, the hops that carry those, outermost first, and the MTU; then, where it is
not as usual, the group that chose the hop, what happens when it is down, and
that the route was asked for rather than made of a file's AllowedIPs. A large set
of prefixes is one line, unless --all is given.

A destination takes the longest prefix that has it: "multihop route get" says
which that is.

` + whichHelp),
		Example: text(`
  multihop routes
  multihop routes office --json | jq -r 'select(.hop == "exit").prefix'`),
		Args:              atMostOneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return routes(cmd.Context(), cmd.OutOrStdout(), control.Dir, args, all, asJSON)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list each prefix of a large set")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

func routes(ctx context.Context, w io.Writer, dir string, args []string, all, asJSON bool) error {
	name, err := instanceOf(ctx, dir, args)
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	if !all { // else it may take its time
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	err = control.NewClient(dir, name).Routes(ctx, all, func(r router.RouteStatus) error {
		if asJSON {
			return lines.Encode(r)
		}
		_, err := fmt.Fprintln(out, routeLine(r))
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// instanceOf returns the name of the instance that an argument means; without
// one, of the one that runs.
func instanceOf(ctx context.Context, dir string, args []string) (string, error) {
	if len(args) > 0 {
		return named(dir, args[0])
	}
	return theInstance(ctx, dir, "")
}

// routeLine prints a route in the manner of "ip route".
func routeLine(r router.RouteStatus) string {
	words := []string{r.Prefix.String()}
	switch {
	case !r.Prefix.IsValid():
		words[0] = fmt.Sprintf("(%d prefixes)", r.Count)
	case r.Count > 1:
		words[0] += fmt.Sprintf(" (and %d more prefixes)", r.Count-1)
	}
	if r.Hop != "" {
		words = append(words, "hop", r.Hop, "path", strings.Join(r.Path, " > "), "mtu", fmt.Sprint(r.MTU))
	}
	switch {
	case r.Group:
		words = append(words, "group", r.Rule)
	case r.Hop != r.Rule: // its fallback carries it
		words = append(words, "for", r.Rule)
	}
	switch {
	case r.Fallback != "":
		words = append(words, "on-down", r.Fallback)
	case r.OnDown != router.Reject.String():
		words = append(words, "on-down", r.OnDown)
	}
	if r.Origin != router.OriginAllowedIPs {
		words = append(words, "origin", r.Origin)
	}
	if r.Drop != "" {
		words = append(words, "dropped", r.Drop+":", r.Reason)
	}
	return strings.Join(words, " ")
}
