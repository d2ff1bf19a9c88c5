package main

import "github.com/spf13/cobra"

// addWaitFlag gives cmd the flag --wait.
func addWaitFlag(cmd *cobra.Command, o *order) {
	flags := cmd.Flags()
	flags.DurationVar(&o.wait, "wait", 0, "be up only after a handshake with every peer, and fail without one for `DURATION` (--wait alone: "+defaultWait.String()+")")
	flags.Lookup("wait").NoOptDefVal = defaultWait.String()
}
