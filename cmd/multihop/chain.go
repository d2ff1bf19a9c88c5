package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"multihop/conf"
)

// routeHelp documents --route for every command that takes it.
const routeHelp = "send `[HOP=]PREFIX` to HOP, or to the innermost hop, instead of what the files' AllowedIPs say (repeatable)"

// addRouteFlag gives cmd the flag --route.
func addRouteFlag(cmd *cobra.Command, into *[]string) {
	cmd.Flags().StringArrayVar(into, "route", nil, routeHelp)
	_ = cmd.RegisterFlagCompletionFunc("route", cobra.NoFileCompletions)
}

// addFragmentFlag gives cmd the flag --fragment.
func addFragmentFlag(cmd *cobra.Command, into *bool) {
	cmd.Flags().BoolVar(into, "fragment", false,
		"let carried hops send their datagrams in fragments, so that each keeps an MTU of 1280 however deep it lies")
}

// parseRoutes parses the values of --route. The warnings name those that are
// not taken as they stand.
func parseRoutes(values []string) (flags []conf.RouteFlag, warnings []string, err error) {
	for _, v := range values {
		f, err := conf.ParseRouteFlag(v)
		if err != nil {
			return nil, nil, err
		}
		flags = append(flags, f)
		given := strings.TrimSpace(v[strings.LastIndexByte(v, '=')+1:])
		if p, err := netip.ParsePrefix(given); err == nil && p != p.Masked() {
			warnings = append(warnings, fmt.Sprintf("--route %s: %s has host bits: read as %s", v, p, f.Prefix))
		}
	}
	return flags, warnings, nil
}

// loadChain reads files and puts each inside the one before it.
func loadChain(paths []string, o *conf.ChainOptions) (*conf.Chained, error) {
	files := make([]*conf.File, 0, len(paths))
	for _, p := range paths {
		f, err := conf.Load(p)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return conf.Chain(files, o)
}
