package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// What commands say about their arguments, in words for users: cobra's own speak
// of "arg(s)", or take an argument too many for an unknown command.

func atLeastOneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s: no files: give one wg-quick file per hop, the outermost first, or a profile", cmd.Name())
	}
	return nil
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s: it takes no arguments, but %q was given", cmd.Name(), args[0])
	}
	return nil
}

func atMostOneInstance(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%s: want one TUN or PROFILE or none, got %d arguments", cmd.Name(), len(args))
	}
	return nil
}

// Names of a TUN, and so of an instance, are wg-quick's.
const (
	maxName   = 15 // bytes: the kernel's
	nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-"
)

// checkName says what is wrong with the name of a TUN, before it becomes part of
// a path.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name %q is longer than %d characters", name, maxName)
	case strings.Trim(name, nameChars) != "":
		return fmt.Errorf("the name %q has more than letters, digits and _=+.-", name)
	case name == "." || name == "..":
		return fmt.Errorf("%q is no name", name)
	}
	return nil
}
