package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of multihop and of the WireGuard inside",
		Long:    "Print the version of multihop, the Go release and platform it was built with and for, and the version of wireguard-go inside.",
		Example: "  multihop version",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeVersion(cmd.OutOrStdout())
		},
	}
}

func writeVersion(w io.Writer) error {
	version, wireguard := "unknown", "unknown"
	settings := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, d := range info.Deps {
			if d.Path == "golang.zx2c4.com/wireguard" {
				wireguard = d.Version
			}
		}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	if rev := settings["vcs.revision"]; rev != "" {
		version += " " + rev[:min(len(rev), 12)]
		if settings["vcs.modified"] == "true" {
			version += "+changes"
		}
	}
	_, err := fmt.Fprintf(w, "multihop %s\n%s %s/%s\nwireguard-go %s\n",
		version, runtime.Version(), runtime.GOOS, runtime.GOARCH, wireguard)
	return err
}
