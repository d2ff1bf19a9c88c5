package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic returns the assignment that goes with RELOADING=1.
func monotonic() []string {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return nil
	}
	return []string{fmt.Sprintf("MONOTONIC_USEC=%d", t.Nano()/1000)}
}

// slept returns for how long the system has been suspended since it started.
func slept() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0 // never notices a suspension
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
