package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/router"
)

func newRouteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "route",
		Short: "Ask a running instance about its routes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRouteGetCommand())
	return cmd
}

func newRouteGetCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "get ADDR",
		Short: "Explain what happens to a packet to ADDR",
		Long: text(`
Explain what a running instance does with a packet to ADDR: the route that it
takes, the hops from the host outwards, the source address before and after
translation, the MTU, and each hop's latest handshake. The answer comes from the
table that the packets themselves use. A packet that would not be delivered is
named by the counter of "multihop show" that it would raise.`),
		Example: text(`
  multihop route get 203.0.113.9
  multihop route get 2001:db8::1 --name mh1`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("route get: want one address, got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return routeGet(cmd.Context(), cmd.OutOrStdout(), control.Dir, name, args[0])
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the instance (default: the one that runs)")
	_ = cmd.RegisterFlagCompletionFunc("name", completeInstances)
	return cmd
}

func routeGet(ctx context.Context, w io.Writer, dir, name, addr string) error {
	dst, err := netip.ParseAddr(addr)
	if err != nil {
		return fmt.Errorf("route get: %q is not an address", addr)
	}
	if name != "" {
		if err := checkName(name); err != nil {
			return fmt.Errorf("route get: --name: %w", err)
		}
	}
	name, err = theInstance(ctx, dir, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	e, err := control.NewClient(dir, name).Explain(ctx, dst)
	if err != nil {
		return err
	}
	return writeExplanation(w, e, time.Now())
}

// writeExplanation prints e in blocks: the packet, then its hops.
func writeExplanation(w io.Writer, e router.Explanation, now time.Time) error {
	b := &blocks{}
	b.open("destination", e.Dst.String())
	if e.Route.IsValid() {
		b.line("route", e.Route.String())
	} else {
		b.line("route", "(none)")
	}
	hops := ""
	for i, h := range e.Path {
		if i > 0 {
			hops += " > "
		}
		hops += h.Name
	}
	b.line("hops", hops)
	if e.Src.IsValid() {
		b.line("source", e.Src.String())
	}
	if e.NAT.IsValid() {
		b.line("translated to", e.NAT.String())
	}
	if e.MTU != 0 {
		b.line("mtu", fmt.Sprint(e.MTU))
	}
	b.line("verdict", verdict(e))
	for _, h := range e.Path {
		b.open("hop", h.Name)
		b.line("state", upOrDown(h.Down, h.Reason))
		b.line("endpoint", h.Endpoint)
		b.line("mtu", fmt.Sprint(h.MTU))
		if h.LatestHandshake.IsZero() {
			b.line("latest handshake", "(none yet)")
		} else {
			b.line("latest handshake", ago(h.LatestHandshake, now))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func verdict(e router.Explanation) string {
	switch {
	case e.Drop == "":
		return "delivered"
	case e.Reason == "":
		return "dropped as " + e.Drop
	}
	return fmt.Sprintf("dropped as %s: %s", e.Drop, e.Reason)
}
