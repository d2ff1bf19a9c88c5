//go:build !linux

package control

// Dir is where multihop's instances have their sockets.
const Dir = "/var/run/multihop"
