//go:build !linux

package main

import "multihop/conf"

// privileges are not told apart here.
type privileges struct{}

func needs(*conf.Instance) privileges { return privileges{} }

func (privileges) cover(privileges) bool { return true }

func (privileges) drop() error { return nil }
