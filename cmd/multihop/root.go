package main

import (
	"path/filepath"
	"slices"
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

Two files of your provider, one inside the other, for everything:

  multihop check entry.conf exit.conf
  sudo multihop up entry.conf exit.conf
  sudo multihop show
  sudo multihop tree
  sudo multihop route get 203.0.113.9
  sudo multihop down mh0

Any tree of them is a profile, a file in /etc/multihop:

  sudo multihop up office

"multihop demo" shows two hops at work without root, files or a network.`),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newUpCommand(),
		newDownCommand(),
		newReloadCommand(),
		newRunCommand(),
		newStatusCommand(),
		newShowCommand(),
		newTreeCommand(),
		newRouteCommand(),
		newRoutesCommand(),
		newEventsCommand(),
		newExecCommand(),
		newCheckCommand(),
		newFmtCommand(),
		newStripCommand(),
		newDemoCommand(),
		newGenkeyCommand(),
		newPubkeyCommand(),
		newGenpskCommand(),
		newVersionCommand(),
	)
	return root
}

// completeFiles offers the profiles that have a name, and files.
func completeFiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return []string{"conf"}, cobra.ShellCompDirectiveFilterFileExt
	}
	paths, _ := filepath.Glob("/etc/multihop/*.conf") // only a bad pattern fails
	var names []string
	for _, p := range paths {
		names = append(names, profileName(p))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// completeInstancesAndFiles offers the running instances, profiles and files.
func completeInstancesAndFiles(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	files, directive := completeFiles(cmd, args, word)
	if len(args) > 0 {
		return files, directive
	}
	names, _ := control.Names(control.Dir) // who may not ask has none
	for _, n := range files {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names, directive
}

// completeHops offers the hops of the instance that --name means.
func completeHops(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	name, err := theInstance(cmd.Context(), control.Dir, cmd.Flag("name").Value.String())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	s, err := askStatus(cmd.Context(), control.Dir, name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var hops []string
	for _, h := range s.Hops {
		hops = append(hops, h.Name)
	}
	return hops, cobra.ShellCompDirectiveNoFileComp
}

// completeInstances offers the running instances.
func completeInstances(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, err := control.Names(control.Dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
