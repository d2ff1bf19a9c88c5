//go:build !linux

package main

import "testing"

func enterPrivateHost() {}

func notPrivate() string { return "needs Linux" }

func endLeftovers(*testing.T) {}
