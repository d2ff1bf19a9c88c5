//go:build !linux

package main

import "time"

// monotonic returns nothing: systemd is elsewhere.
func monotonic() []string { return nil }

// slept returns nothing: suspensions are not noticed.
func slept() time.Duration { return 0 }
