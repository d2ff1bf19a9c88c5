package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/internal/host"
)

// whichHelp explains the argument of the commands that ask or tell an instance.
const whichHelp = "TUN is the name of an instance's TUN, and PROFILE that of the profile that it\nruns, or the profile's path."

// oneInstance is for commands that want TUN or PROFILE.
func oneInstance(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s: want one TUN or PROFILE, got %d arguments", cmd.Name(), len(args))
	}
	return nil
}

// named returns the name of the instance that arg means: that of its TUN, or of
// its profile, or the path of that.
func named(dir, arg string) (string, error) {
	name := arg
	if strings.ContainsRune(filepath.ToSlash(arg), '/') || strings.EqualFold(filepath.Ext(arg), ".conf") {
		name = profileName(arg)
	}
	names, err := control.Names(dir)
	if err != nil {
		return "", err
	}
	if slices.Contains(names, name) {
		return name, nil
	}
	switch others := control.OfProfile(dir, name); {
	case len(others) == 1:
		return others[0], nil
	case len(others) > 1:
		return "", fmt.Errorf("several instances run the profile %s: choose one of %s", name, strings.Join(others, ", "))
	}
	return name, checkName(name)
}

// notRunning reports whether an instance that was asked is not there at all.
func notRunning(err error) bool { return errors.Is(err, control.ErrNotRunning) }

// leftBy says that a crashed instance has left something; "": none of that name
// has.
func leftBy(dir, name string) string {
	orphans, err := host.Orphans(dir)
	if err != nil || !slices.Contains(orphans, name) {
		return ""
	}
	return "what it left stays, so that nothing leaves in clear: multihop up takes it over, multihop down " + name + " undoes it"
}
