//go:build !linux

package main

import "net/netip"

// environmentsAbove returns nothing.
func environmentsAbove(int) [][]string { return nil }

// connected reports that a session's connection is still there, as far as is
// known.
func connected(session) bool { return true }

// clientsOf returns nothing.
func clientsOf(uint16) []netip.Addr { return nil }
