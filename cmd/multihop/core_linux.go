package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCoreDumps keeps the process's memory, which holds keys, from disk, and from
// other processes of the same user. (A program to which dumps are piped gets them
// whatever the limit is.) What is started from here begins anew.
func noCoreDumps() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	return nil
}
