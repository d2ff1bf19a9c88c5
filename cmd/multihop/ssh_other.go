//go:build !linux

package main

// environmentsAbove returns nothing.
func environmentsAbove(int) [][]string { return nil }
