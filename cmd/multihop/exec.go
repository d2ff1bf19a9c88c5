package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"multihop/internal/control"
)

func newExecCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec TUN | PROFILE -- COMMAND [ARGUMENT...]",
		Short: "Run a command in the network namespace of a profile",
		Long: text(`
Run a command in the network namespace (Netns) of a running instance, where the
TUN is the only way out. It has a resolv.conf of its own, with the instance's DNS,
or the files of /etc/netns/NETNS in place of those in /etc, as with "ip netns
exec". Who looks names up on the host (systemd-resolved, the system's D-Bus, nscd,
Avahi, SSSD) is hidden from it. The exit status is the command's.

The command runs as root: let it change its user, as in the example.

` + whichHelp),
		Example: text(`
  multihop exec office -- curl https://example.net
  multihop exec office -- setpriv --reuid=anna --init-groups firefox`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 || args[1] == "--" && len(args) < 3 {
				return fmt.Errorf("exec: want TUN or PROFILE, and a command after --")
			}
			return nil
		},
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := named(control.Dir, args[0])
			if err != nil {
				return fmt.Errorf("exec: %w", err)
			}
			s, err := askStatus(cmd.Context(), control.Dir, name)
			if err != nil {
				return err
			}
			if s.Host.Netns == "" {
				return fmt.Errorf("exec: %s has no namespace of its own: give it one with Netns, or --netns", name)
			}
			command := args[1:]
			if command[0] == "--" {
				command = command[1:]
			}
			return enter(s.Host, command)
		},
	}
	cmd.Flags().SetInterspersed(false) // flags after the first argument are the command's
	return cmd
}
