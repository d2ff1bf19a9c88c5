//go:build unix && !linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCoreDumps keeps the process's memory, which holds keys, from disk.
func noCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	return nil
}
