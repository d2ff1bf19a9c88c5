package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
)

// reloadTimeout bounds the wait for a reload: names are looked up.
const reloadTimeout = 2 * time.Minute

func newReloadCommand() *cobra.Command {
	verbose := false
	cmd := &cobra.Command{
		Use:   "reload TUN | PROFILE",
		Short: "Have tunnels read their files again",
		Long: text(`
Have a running instance read its files again and put what they say in force.
What has not changed is not touched: its sessions, its connections and its routes
stay. If something is wrong with the files nothing changes, and the error is
printed. The flags that it was started with still count. Netns cannot change.
What would cut the SSH session that it is called from is refused, as by up.

` + whichHelp),
		Example: text(`
  multihop reload mh0
  multihop reload office -v`),
		Args:              oneInstance,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return reload(cmd.Context(), cmd.OutOrStdout(), control.Dir, args[0], verbose)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each change to the host")
	return cmd
}

func reload(ctx context.Context, out io.Writer, dir, arg string, verbose bool) error {
	name, err := named(dir, arg)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	done, err := control.NewClient(dir, name).Reload(ctx, sshPeers())
	if err != nil {
		return err
	}
	for _, w := range done.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	if verbose {
		for _, c := range done.Changes {
			fmt.Fprintln(out, c)
		}
	}
	return nil
}
