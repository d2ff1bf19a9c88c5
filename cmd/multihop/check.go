package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"multihop/conf"
	"multihop/internal/host"
	"multihop/router"
)

func newCheckCommand() *cobra.Command {
	o := new(order)
	cmd := &cobra.Command{
		Use:   "check FILE... | PROFILE",
		Short: "Check files, and print what up would do with them",
		Long: text(`
Check wg-quick files as a chain, each inside the one before it, or a profile, and
print what "up" would do with them. Everything that can be known without running
is checked: syntax, permissions, addresses, routes, carriers, endpoints and MTUs.
It needs no root, changes nothing and looks no name up; as root it also warns of
other tunnels of this host that would get inside this one, or the reverse. What up
would do to the host, change by change, "up --dry-run" prints.

One line each on stdout: "error: ..." for what up refuses; "warning: ..." for what
works, though perhaps not as you expect; "note: ..." for what is assumed, such as
an MTU of 1420 for a first hop whose file says none. Then the plan. The exit status
is 1 if there was an error.`),
		Example: text(`
  multihop check entry.conf exit.conf
  multihop check entry.conf exit.conf --route 203.0.113.0/24 --route entry=10.64.0.0/10
  multihop check office`),
		Args:              atLeastOneFile,
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.args = args
			return (&report{w: cmd.OutOrStdout()}).check(o)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// A report prints findings as they come and counts the errors.
type report struct {
	w      io.Writer
	errors int
}

func (r *report) error(err error) {
	for _, e := range eachError(err) {
		r.errors++
		fmt.Fprintf(r.w, "error: %s\n", oneLine(e))
	}
}

func (r *report) note(text string) { fmt.Fprintf(r.w, "note: %s\n", text) }

func (r *report) warn(what any) { fmt.Fprintf(r.w, "warning: %v\n", what) }

// result is the error of a check that found some.
func (r *report) result() error {
	switch r.errors {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("check: 1 error")
	}
	return fmt.Errorf("check: %d errors", r.errors)
}

func (r *report) check(o *order) error {
	if _, _, err := o.overrides(); err != nil {
		return err // of the command line, not of a file
	}
	c, warnings, err := o.load(true)
	if err != nil {
		r.error(err)
		return r.result()
	}
	for _, w := range warnings {
		r.warn(w)
	}
	plan := r.instance(c)
	if plan == nil {
		return r.result()
	}
	r.nested(o, c, plan)
	fmt.Fprintln(r.w)
	return writePlan(r.w, "(name)", plan, nil)
}

// instance reports on what was read and returns its plan; nil: it has none.
func (r *report) instance(c *conf.Instance) *router.Plan {
	for _, g := range groupLeftOut(c.LeftOut) {
		r.warn(fmt.Sprintf("hop %s: no route for %s: %s", g.hop, g.list(), g.why))
	}
	for i := range c.Config.Hops {
		r.unknowns(c, &c.Config.Hops[i])
	}
	plan, err := assumed(c)
	if err != nil {
		r.error(err)
		return nil
	}
	for _, warning := range plan.Warnings {
		r.warn(warning)
	}
	if c.Settings.Table == tableOff {
		for _, l := range loops(plan) {
			r.warn(fmt.Sprintf("%v, unless the routes that you make lead past it", l))
		}
	}
	return plan
}

// nested warns of tunnels of this host that would get inside one another, as far
// as this user may look.
func (r *report) nested(o *order, c *conf.Instance, plan *router.Plan) {
	name, err := o.tun()
	if err != nil {
		r.error(err)
		return
	}
	in := newInstance(name, o, newProgress(io.Discard, false, new(meter)), slog.New(slog.DiscardHandler))
	in.host, err = host.New(name, &host.Options{Netns: c.Settings.Netns})
	if err != nil {
		return // there is no host to ask on this system, or not for this user
	}
	defer func() { _ = in.host.Release() }() // nothing was done
	found, err := in.nested(in.hostConfig(&desired{conf: c}, plan, c.Config.Hops))
	for _, f := range found {
		r.warn(f)
	}
	if errors.Is(err, fs.ErrPermission) {
		r.note("other tunnels of this host were not looked at: that needs root")
	}
}

// unknowns says what is not known before up asks the host, or the network.
func (r *report) unknowns(c *conf.Instance, h *router.Hop) {
	for _, p := range h.Peers {
		name, _, ok := endpointName(p.Endpoint)
		if !ok {
			continue
		}
		if h.Via == "" {
			r.note(fmt.Sprintf("hop %s: the endpoint's name %s was not looked up: up asks the host's resolvers, past the tunnel", h.Name, name))
			continue
		}
		r.note(fmt.Sprintf("hop %s: the endpoint's name %s was not looked up: up asks the DNS of %s, through it; "+
			"the hop's MTU leaves 80 bytes, as for an IPv6 endpoint", h.Name, name, h.Via))
		if via := hopNamed(&c.Config, h.Via); via != nil && len(via.DNS) == 0 {
			r.warn(fmt.Sprintf("hop %s: its carrier %s has no DNS that could be asked for %s: the hop will not work", h.Name, via.Name, name))
		}
	}
	switch bound := c.Settings.MTU; {
	case h.Via != "" || h.MTU != 0:
	case bound == 0:
		r.note(fmt.Sprintf("hop %s: an MTU of %d is assumed, for its file says none: up takes that of the route to the endpoint, less %d", h.Name, assumedMTU, wgQuickOverhead))
	default:
		r.note(fmt.Sprintf("hop %s: an MTU of %d is assumed: up takes less where the route to the endpoint, less %d, is less", h.Name, min(bound, assumedMTU), wgQuickOverhead))
	}
}
