package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"multihop/conf"
	"multihop/router"
)

func newCheckCommand() *cobra.Command {
	var routes []string
	var fragment bool
	cmd := &cobra.Command{
		Use:   "check ENTRY.conf [EXIT.conf ...]",
		Short: "Check files, and print what run would do with them",
		Long: text(`
Check wg-quick files as a chain, each inside the one before it, and print what
"run" would do with them. Everything that can be known without running is
checked: syntax, permissions, addresses, routes, endpoints and MTUs. (A cycle
cannot occur: in a chain each file is inside the one before it.) It needs no root,
changes nothing and looks no name up.

One line each on stdout: "error: ..." for what run refuses in any case;
"warning: ..." for what works, though perhaps not as you expect, or depends on
how you run it: a route that covers the endpoint of the first hop, as a /0 does,
needs --table off; "note: ..." for what is assumed, such as an MTU of 1420 for a
first hop whose file says none. Then the plan. The exit status is 1 if there was
an error.`),
		Example: text(`
  multihop check entry.conf exit.conf
  multihop check entry.conf exit.conf --route 203.0.113.0/24 --route entry=10.64.0.0/10`),
		Args:              atLeastOneFile,
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, paths []string) error {
			flags, warnings, err := parseRoutes(routes)
			if err != nil {
				return err
			}
			r := &report{w: cmd.OutOrStdout()}
			for _, w := range warnings {
				r.warn(w)
			}
			return r.check(paths, &conf.ChainOptions{Routes: flags, Fragment: fragment})
		},
	}
	addRouteFlag(cmd, &routes)
	addFragmentFlag(cmd, &fragment)
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

func (r *report) check(paths []string, o *conf.ChainOptions) error {
	var files []*conf.File
	for _, p := range paths {
		f, err := conf.LoadAll(p)
		if err != nil {
			r.error(err)
			continue
		}
		files = append(files, f)
	}
	if r.errors > 0 {
		for _, f := range files { // Chain would report these
			for _, warning := range f.Warnings {
				r.warn(warning)
			}
		}
		return r.result()
	}
	chained, err := conf.Chain(files, o)
	if err != nil {
		r.error(err)
		return r.result()
	}
	plan := r.chained(chained)
	if plan == nil {
		return r.result()
	}
	fmt.Fprintln(r.w)
	return writePlan(r.w, "(name)", plan, nil)
}

// chained reports on a chain and returns its plan; nil: it has none.
func (r *report) chained(c *conf.Chained) *router.Plan {
	for _, warning := range c.Warnings {
		r.warn(warning)
	}
	for _, g := range groupLeftOut(c.LeftOut) {
		r.warn(fmt.Sprintf("hop %s: no route for %s: %s", g.hop, g.list(), g.why))
	}
	for i := range c.Config.Hops {
		r.unknowns(&c.Config.Hops[i])
	}
	plan, err := router.Compile(c.Config)
	if err != nil {
		r.error(err)
		return nil
	}
	for _, warning := range plan.Warnings {
		r.warn(warning)
	}
	for _, l := range loops(plan) {
		r.warn(fmt.Sprintf("%v, so run refuses it without --table off", l))
	}
	return plan
}

// unknowns says what is not known before run asks the host.
func (r *report) unknowns(h *router.Hop) {
	for _, p := range h.Peers {
		name, _, ok := endpointName(p.Endpoint)
		switch {
		case !ok:
		case h.Via == "":
			r.warn(fmt.Sprintf("hop %s: the endpoint's name %s was not looked up: check does not ask the network", h.Name, name))
		default:
			r.warn(fmt.Sprintf("hop %s: the endpoint's name %s was not looked up: run asks this host's resolver, outside the tunnel; "+
				"until then the hop's MTU leaves 80 bytes, as for an IPv6 endpoint", h.Name, name))
		}
	}
	if h.Via == "" && h.MTU == 0 {
		r.note(fmt.Sprintf("hop %s: an MTU of 1420 is assumed, for its file says none: run takes that of the route to the endpoint, less %d", h.Name, wgQuickOverhead))
	}
}
