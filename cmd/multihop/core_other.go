//go:build !unix

package main

// noCoreDumps does nothing: there are none here.
func noCoreDumps() error { return nil }
