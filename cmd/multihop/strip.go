package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"multihop/conf"
)

func newStripCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "strip FILE | PROFILE [HOP]",
		Short: "Print a hop's file without what wg does not know",
		Long: text(`
Print what a wg-quick file, or the file of a profile's hop, says to wg itself:
what "wg setconf" and "wg syncconf" read. It has the private key.`),
		Example: text(`
  multihop strip entry.conf
  wg setconf wg0 <(multihop strip office exit)`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return fmt.Errorf("strip: want a FILE, or a PROFILE and a HOP, got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, profile, err := conf.Find(args[0])
			if err != nil {
				return err
			}
			load := func() (*conf.Instance, error) { return conf.LoadChain([]string{path}, nil) }
			if profile {
				load = func() (*conf.Instance, error) { return conf.LoadProfile(path, nil) }
			}
			in, err := load()
			if err != nil {
				return err
			}
			hop := ""
			if len(args) > 1 {
				hop = args[1]
			}
			return in.Strip(cmd.OutOrStdout(), hop)
		},
	}
}
