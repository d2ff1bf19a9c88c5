// Package control is the socket on which other processes ask a running instance
// what it does, and tell it to change or to end: package router/control over a
// Unix socket, and a client of it.
//
// Listen makes the socket that multihop's own commands look for: DIR/NAME.sock,
// mode 0600 in a directory of mode 0700, for root and the user who made it only.
// It is the instance's name: who has it may change the host under that name, so
// it is taken first and given back last. DIR/NAME.profile says which profile it
// runs, or did when it crashed.
package control
