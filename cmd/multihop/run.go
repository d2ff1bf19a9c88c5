package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/router"
)

// lookupTimeout bounds the look-up of all endpoint names together.
const lookupTimeout = 20 * time.Second

// gcPercent makes a flood cost memory once, not twice: what is live are buffers,
// and little is allocated beside them.
const gcPercent = 25

// runOptions are the flags of run.
type runOptions struct {
	name     string
	routes   []string
	fragment bool
	table    string
	verbose  bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run ENTRY.conf [EXIT.conf ...]",
		Short: "Run a chain of tunnels in the foreground",
		Long: text(`
Run a chain in the foreground: each wg-quick file is one hop, the first on the
host's network, the others carried inside the one before. It creates one TUN
with its addresses and, per prefix, one route with the MTU of its hop; prints
what goes where; and then logs what changes. Ctrl-C, SIGTERM and a terminal that
is closed (SIGHUP) undo everything.

Routes are the files' AllowedIPs, and the inner hop wins: what a hop further in
covers never leaves further out. With --route, those of all files are discarded
and only the given ones count. Packets whose hop is down, or has no address of
their family, are rejected; they never take another way.

A carried hop has the MTU of its carrier less 60 bytes (80 for an IPv6 endpoint),
and IPv6 needs 1280: in a deep chain the innermost hops reject it. With
--fragment their datagrams travel in fragments, and each keeps an MTU of 1280, at
the cost of more packets.

A route that covers the endpoint of the first hop (0.0.0.0/0 does) would send
the tunnel's own packets into the tunnel, and is refused. Give the prefixes that
you want with --route, or --table off and routes and rules of your own.

Endpoint names are looked up once, by this host's resolver, before the TUN
exists. DNS, Table, FwMark, SaveConfig and the hooks of a file are not acted on.

While it runs, "multihop show" and "multihop route get" ask it, and each hop is
an interface NAME.HOP for "wg show". It needs root, or CAP_NET_ADMIN and write
access to /run/multihop and /var/run/wireguard.`),
		Example: text(`
  multihop run entry.conf exit.conf --route 203.0.113.0/24
  multihop run entry.conf exit.conf --route 198.51.100.0/24 --route entry=10.64.0.0/10
  multihop run entry.conf exit.conf --name mh1 --table off`),
		Args:              atLeastOneFile,
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return runChain(cmd.Context(), paths, &o, cmd.OutOrStdout(), newLogger(cmd.ErrOrStderr(), o.verbose))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "mh0", "`NAME` of the TUN: 1 to 15 of a-z, A-Z, 0-9 and _=+.-")
	flags.StringVar(&o.table, "table", tableAuto, "`MODE`: auto makes routes in the kernel, off makes none")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "log what WireGuard does, too")
	addRouteFlag(cmd, &o.routes)
	addFragmentFlag(cmd, &o.fragment)
	_ = cmd.RegisterFlagCompletionFunc("table", cobra.FixedCompletions([]string{tableAuto, tableOff}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// Values of --table.
const (
	tableAuto = "auto"
	tableOff  = "off"
)

// runChain runs until ctx ends or something that it needs fails.
func runChain(ctx context.Context, paths []string, o *runOptions, out io.Writer, log *slog.Logger) error {
	if o.table != tableAuto && o.table != tableOff {
		return fmt.Errorf("--table %s: want %s or %s", o.table, tableAuto, tableOff)
	}
	signal.Ignore(syscall.SIGPIPE) // who reads the log may go; the packets are to stay
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := nameFree(o.name); err != nil {
		return err
	}
	routes, ignored, err := parseRoutes(o.routes)
	if err != nil {
		return err
	}
	chained, err := loadChain(paths, &conf.ChainOptions{Routes: routes, Fragment: o.fragment})
	if err != nil {
		return err
	}
	up := &uplink{tun: o.name, routeTo: host.RouteTo}
	plan, warnings, err := makePlan(ctx, chained, up)
	if ctx.Err() != nil {
		return nil // asked to end before it had begun
	}
	if err != nil {
		return err
	}
	writeWarnings(out, append(ignored, warnings...))
	if err := writePlan(out, o.name, plan, chained.LeftOut); err != nil {
		log.Warn("the plan cannot be printed", "err", err)
	}
	if found := loops(plan); len(found) > 0 && o.table != tableOff {
		return fmt.Errorf("%v: give the prefixes that you want with --route, or --table off and routes of your own", found[0])
	}
	in := &instance{name: o.name, table: o.table, plan: plan, uplink: up, log: log}
	return in.run(ctx)
}

// makePlan compiles a chain with what the host knows: addresses of endpoints
// and the MTU of the way to them.
func makePlan(ctx context.Context, chained *conf.Chained, up *uplink) (_ *router.Plan, warnings []string, err error) {
	for _, w := range chained.Warnings {
		warnings = append(warnings, w.String())
	}
	names := &resolver{
		lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		reaches: func(a netip.Addr) bool {
			_, err := up.routeTo(a)
			return err == nil || errors.Is(err, host.ErrUnsupported)
		},
	}
	lookups, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	asked, err := names.resolve(lookups, &chained.Config)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, asked...)
	warnings = append(warnings, up.deriveMTU(&chained.Config)...)
	plan, err := router.Compile(chained.Config)
	if err != nil {
		return nil, nil, err
	}
	return plan, append(warnings, plan.Warnings...), nil
}
