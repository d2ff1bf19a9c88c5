package main

import (
	"strings"

	"github.com/spf13/cobra"

	"multihop/internal/control"
)

// text is a help text as it is written here: without the first line break.
func text(s string) string { return strings.Trim(s, "\n") }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "multihop",
		Short: "WireGuard tunnels inside one another, chosen by destination",
		Long: text(`
multihop is a WireGuard client with one TUN device and many tunnels ("hops").
Each hop is one ordinary wg-quick file, unmodified. The first is on the host's
network, the others are carried inside the one before. Each destination prefix
takes the hop that its route names, and never another: where that hop is down,
its packets are rejected.

Two files of your provider, and a prefix that is to leave at the second:

  multihop check entry.conf exit.conf
  sudo multihop run entry.conf exit.conf --route 203.0.113.0/24

and in another terminal:

  sudo multihop show
  sudo multihop route get 203.0.113.9
  sudo wg show all

"multihop demo" shows two hops at work without root, files or a network.`),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newRunCommand(),
		newCheckCommand(),
		newShowCommand(),
		newRouteCommand(),
		newDemoCommand(),
		newGenkeyCommand(),
		newPubkeyCommand(),
		newGenpskCommand(),
		newVersionCommand(),
	)
	return root
}

// completeFiles offers the .conf files of the directory.
func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"conf"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeInstances offers the running instances.
func completeInstances(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, err := control.Names(control.Dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
