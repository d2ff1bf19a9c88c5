//go:build !linux

package main

func enterPrivateHost() {}

func notPrivate() string { return "needs Linux" }
