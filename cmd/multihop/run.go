package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// gcPercent makes a flood cost memory once, not twice: what is live are buffers,
// and little is allocated beside them.
const gcPercent = 25

func newRunCommand() *cobra.Command {
	o := new(order)
	verbose := false
	cmd := &cobra.Command{
		Use:   "run FILE... | PROFILE",
		Short: "Run tunnels in the foreground",
		Long: text(`
Run a chain of files, or a profile, in the foreground: for systemd, for
containers, and to watch. It prints what goes where and then logs what changes;
with --verbose also each change to the host, in the manner of wg-quick, and what
WireGuard does. Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP) undo
everything. systemd is told when it is ready, reloads and stops, and that it
lives (Type=notify, WatchdogSec).

` + orderHelp),
		Example: text(`
  multihop run entry.conf exit.conf
  multihop run entry.conf exit.conf --route 203.0.113.0/24 --route entry=10.64.0.0/10
  multihop run office`),
		Args:              atLeastOneFile,
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.args = args
			return o.run(cmd.Context(), newProgress(cmd.OutOrStdout(), verbose, newMeter(cmd.ErrOrStderr())), newLogger(cmd.ErrOrStderr(), verbose))
		},
	}
	o.addFlags(cmd)
	addWaitFlag(cmd, o)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print each change to the host, and log what WireGuard does")
	return cmd
}

// orderHelp explains what run and up make of their arguments.
const orderHelp = `Each FILE is an ordinary wg-quick file, unmodified, and one hop: the first is on
the host's network, the others are carried inside the one before. A PROFILE is a
file with [Hop] sections, by path, or by its name in /etc/multihop.

Routes are the files' AllowedIPs, and the inner hop wins: what a hop further in
covers never leaves further out. With --route, those of all files are discarded
and only the given ones count. Packets whose hop is down, or has no address of
their family, are rejected; they never take another way.

With a default route (0.0.0.0/0, ::/0, or what amounts to it) nothing leaves
beside the tunnel, whatever becomes of it: --kill-switch. Directly connected
private networks stay reachable, but for DNS: --lan. (Denied, that cuts off what
this host forwards for, such as containers, too.) The DNS of the innermost file is used,
through its hop: --dns. An IPv4 default without an IPv6 one makes IPv6
unreachable: --ipv6. What a crash leaves keeps the host closed; the next start of
the same name takes it over, and "multihop down" undoes it.

A carried hop has the MTU of its carrier less 60 bytes (80 for an IPv6 endpoint,
or a name), and IPv6 needs 1280: in a deep chain the innermost hops reject it.
With --fragment their datagrams travel in fragments, and each keeps an MTU of
1280, at the cost of more packets.

Hooks are run by bash as wg-quick runs them: PreUp before the TUN exists, PostUp
once everything is set up, PreDown while it still is, PostDown when nothing is.
Each has a minute, and little of the environment. PreUp and PostUp that fail undo
the start. With hooks no privilege is given up.

While it runs, "multihop show", "status" and "route get" ask it, "reload" has it
read its files again, and each hop is an interface NAME.HOP for "wg show". It
needs root, or CAP_NET_ADMIN and write access to /run/multihop and
/var/run/wireguard; what it does not need it gives up once it is set up.`

// run runs an instance until ctx ends or something that it needs fails.
func (o *order) run(ctx context.Context, p *progress, log *slog.Logger) error {
	signal.Ignore(syscall.SIGPIPE) // who reads the log may go; the packets are to stay
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	name, err := o.tun()
	if err == nil {
		err = newInstance(name, o, p, log).run(ctx)
	}
	p.failed(err)
	return err
}
