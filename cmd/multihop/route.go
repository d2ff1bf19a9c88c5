package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"multihop/conf"
	"multihop/internal/control"
	"multihop/router"
	api "multihop/router/control"
)

func newRouteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "route",
		Short: "Ask what happens to a packet",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRouteGetCommand())
	return cmd
}

// A routeQuestion is what the flags of route get ask.
type routeQuestion struct {
	name, src, proto string
	flow             router.Flow
	asJSON           bool
	files            order // none: a running instance is asked
}

func newRouteGetCommand() *cobra.Command {
	q := new(routeQuestion)
	ofFiles := q.files.flags()
	cmd := &cobra.Command{
		Use:   "get ADDR [PROFILE | FILE...]",
		Short: "Explain what happens to a packet to ADDR",
		Long: text(`
Explain what a running instance does with a packet to ADDR: the route that it
takes, the hops from the host outwards, the source address before and after
translation, the MTU, and each hop's endpoint and latest handshake. The answer
comes from the table and the code that the packets themselves go through. A packet
that would not be delivered is named by the counter of "multihop show" that it
would raise.

With --from, the packet comes from the peer of that hop instead: then --src is
where it says it comes from.

With files, or a profile, the answer is what up would make of those, with the same
flags; nothing need run, and no name is looked up. What is assumed, such as an MTU of
1420 for a first hop whose file says none, stands before it ("note: ..."), with --json
on stderr.`),
		Example: text(`
  multihop route get 203.0.113.9
  multihop route get 203.0.113.9 --proto tcp --port 443 --size 1500 --df
  multihop route get 10.64.0.2 --from entry --src 198.51.100.7
  multihop route get 2001:db8::1 entry.conf exit.conf --route entry=2001:db8::/32`),
		Args: func(cmd *cobra.Command, args []string) (err error) {
			switch len(args) {
			case 0:
				return errors.New("route get: want one address, got none")
			case 1:
				ofFiles.VisitAll(func(f *pflag.Flag) {
					if f.Changed && f.Name != "name" {
						err = fmt.Errorf("route get: --%s: it goes with files, and none is given", f.Name)
					}
				})
			}
			return err
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeFiles(cmd, args[1:], word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q.files.args = args[1:]
			return q.ask(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), control.Dir, args[0])
		},
	}
	ofFiles.VisitAll(func(f *pflag.Flag) {
		if f.Name != "name" {
			cmd.Flags().AddFlag(f)
		}
	})
	q.addFlags(cmd)
	return cmd
}

// addFlags adds those that say what packet is meant, and of which instance.
func (q *routeQuestion) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&q.name, "name", "", "`NAME` of the instance (default: the one that runs)")
	flags.StringVar(&q.src, "src", "", "its source `ADDR` (default: the TUN's)")
	flags.StringVar(&q.proto, "proto", "udp", "`PROTO`: tcp, udp, icmp, or a number")
	flags.Uint16Var(&q.flow.Port, "port", 0, "its destination `PORT`")
	flags.Uint16Var(&q.flow.SrcPort, "sport", 0, "its source `PORT`")
	flags.IntVar(&q.flow.Size, "size", 0, "`BYTES` of the whole packet (default: as few as can be)")
	flags.BoolVar(&q.flow.DF, "df", false, "it must not be fragmented (IPv4)")
	flags.StringVar(&q.flow.FromHop, "from", "", "the `HOP` whose peer sends it")
	flags.BoolVar(&q.asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("name", completeInstances)
	_ = cmd.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp", "icmp"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("from", completeHops)
	for _, f := range []string{"src", "port", "sport", "size"} {
		_ = cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions)
	}
}

func (q *routeQuestion) ask(ctx context.Context, w, notes io.Writer, dir, addr string) error {
	if err := q.read(addr); err != nil {
		return fmt.Errorf("route get: %w", err)
	}
	if len(q.files.args) > 0 {
		return q.askFiles(w, notes)
	}
	if q.name != "" {
		if err := checkName(q.name); err != nil {
			return fmt.Errorf("route get: --name: %w", err)
		}
	}
	name, err := theInstance(ctx, dir, q.name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	e, err := control.NewClient(dir, name).Explain(ctx, q.flow)
	if err != nil {
		return err
	}
	return q.print(w, e, time.Now())
}

// askFiles answers from the plan of files. What is assumed of the hops on the way
// goes before the answer, but for JSON, which stays alone.
func (q *routeQuestion) askFiles(w, notes io.Writer) error {
	c, plan, err := q.files.plan()
	if err != nil {
		return err
	}
	e := plan.Explain(q.flow)
	var said strings.Builder
	r := &report{w: &said}
	for _, x := range e.Path {
		r.unknowns(c, hopNamed(&c.Config, x.Name))
	}
	if !q.asJSON {
		notes = w
		if said.Len() > 0 {
			said.WriteByte('\n')
		}
	}
	if _, err := io.WriteString(notes, said.String()); err != nil {
		return err
	}
	return q.print(w, e, time.Time{})
}

// read makes a flow of what the command line says.
func (q *routeQuestion) read(addr string) (err error) {
	if q.flow.Dst, err = netip.ParseAddr(addr); err != nil {
		return fmt.Errorf("%q is not an address", addr)
	}
	if q.src != "" {
		if q.flow.Src, err = netip.ParseAddr(q.src); err != nil {
			return fmt.Errorf("--src: %q is not an address", q.src)
		}
	}
	if q.flow.FromHop != "" && q.src == "" {
		return errors.New("--src is missing: a packet from a hop says where it comes from")
	}
	if q.flow.Proto, err = api.ParseProto(q.proto); err != nil {
		return fmt.Errorf("--proto: %w", err)
	}
	if q.flow.Size < 0 {
		return fmt.Errorf("--size: %d is no number of bytes", q.flow.Size)
	}
	return nil
}

func (q *routeQuestion) print(w io.Writer, e router.Explanation, now time.Time) error {
	if q.asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(e)
	}
	return writeExplanation(w, e, now)
}

// planOf returns the plan of files, each inside the one before it, or of a
// profile.
func planOf(args []string) (*router.Plan, error) {
	_, plan, err := (&order{args: args}).plan()
	return plan, err
}

// plan returns what the order names, and its plan as assumed makes it.
func (o *order) plan() (*conf.Instance, *router.Plan, error) {
	c, _, err := o.load(false)
	if err != nil {
		return nil, nil, err
	}
	plan, err := assumed(c)
	return c, plan, err
}

// assumed returns a plan for which neither host nor network is asked: a hop whose MTU
// is that of the route to its endpoint has assumedMTU, or the setting that bounds it.
func assumed(c *conf.Instance) (*router.Plan, error) {
	cfg := c.Config
	cfg.Hops = slices.Clone(cfg.Hops)
	if bound := c.Settings.MTU; bound != 0 {
		for i := range cfg.Hops {
			if h := &cfg.Hops[i]; h.Via == "" && h.MTU == 0 {
				h.MTU = min(bound, assumedMTU)
			}
		}
	}
	return router.Compile(cfg)
}

// assumedMTU is that of a hop on the host's network of which nothing is known.
const assumedMTU = 1420

// flags returns those of the order, which belong to no command yet.
func (o *order) flags() *pflag.FlagSet {
	cmd := new(cobra.Command)
	o.addFlags(cmd)
	return cmd.Flags()
}

// writeExplanation prints e in blocks: the packet, then its hops, with what they
// do now; the zero time: they do not run.
func writeExplanation(w io.Writer, e router.Explanation, now time.Time) error {
	b := &blocks{}
	b.open("destination", e.Dst.String())
	if e.From != "" {
		b.line("from", "the peer of "+e.From)
	}
	if e.Route.IsValid() {
		b.line("route", e.Route.String())
		b.line("to", targetOf(e))
	} else {
		b.line("route", "(none)")
	}
	var hops []string
	for _, h := range e.Path {
		hops = append(hops, h.Name)
	}
	b.line("hops", strings.Join(hops, " > "))
	if e.Src.IsValid() {
		b.line("source", e.Src.String())
	}
	if e.NAT.IsValid() {
		b.line("translated to", e.NAT.String())
	}
	b.line("taken by", e.Link)
	if e.Size != 0 {
		b.line("size", fmt.Sprint(e.Size))
	}
	if e.MTU != 0 {
		b.line("mtu", fmt.Sprint(e.MTU))
	}
	if e.Pieces > 1 {
		b.line("fragments", fmt.Sprint(e.Pieces))
	}
	b.line("verdict", verdict(e))
	for _, h := range e.Path {
		b.open("hop", h.Name)
		if h.Group != "" {
			b.line("chosen by", "group "+h.Group)
		}
		if h.Down || !now.IsZero() {
			b.line("state", upOrDown(h.Down, h.Reason))
		}
		endpoint := h.Endpoint
		if h.Waits != "" {
			endpoint = "(none yet)"
		}
		b.line("endpoint", endpoint)
		b.line("mtu", fmt.Sprintf("%d, and adds %d", h.MTU, h.Overhead))
		switch {
		case now.IsZero():
		case h.LatestHandshake.IsZero():
			b.line("latest handshake", "(none yet)")
		default:
			b.line("latest handshake", ago(h.LatestHandshake, now))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// targetOf says where the route leads, and what happens when that is down.
func targetOf(e router.Explanation) string {
	if e.Rule == "" {
		return "(none: it rejects)"
	}
	text := e.Rule
	if e.OnDown != "" && e.OnDown != router.Reject.String() {
		text += ", on down " + e.OnDown
	}
	if e.Backup != "" {
		text += ": " + e.Backup + " stands in"
	}
	return text
}

func verdict(e router.Explanation) string {
	switch {
	case e.Waits != "":
		return "not sent yet: " + e.Waits + ". It waits for up to 90 s, then it is dropped as device_out, or at once as no_session if many wait"
	case e.Drop == "":
		return "delivered"
	case e.Reason == "":
		return "dropped as " + e.Drop
	}
	return fmt.Sprintf("dropped as %s: %s", e.Drop, e.Reason)
}
