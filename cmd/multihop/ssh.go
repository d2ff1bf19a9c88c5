package main

import (
	"net/netip"
	"os"
	"strings"
)

// sshPeer returns the address from which the SSH session that this process is
// called from comes, if it is called from one. sudo keeps that from its child's
// environment, so those of the processes above are looked at, too.
func sshPeer() (netip.Addr, bool) {
	if peer, ok := sshPeerIn(os.Environ()); ok {
		return peer, true
	}
	for _, env := range environmentsAbove(os.Getppid()) {
		if peer, ok := sshPeerIn(env); ok {
			return peer, true
		}
	}
	return netip.Addr{}, false
}

// sshPeerIn looks for sshd's SSH_CONNECTION: client's address and port, server's
// address and port.
func sshPeerIn(env []string) (netip.Addr, bool) {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "SSH_CONNECTION="); ok {
			client, _, _ := strings.Cut(value, " ")
			a, err := netip.ParseAddr(client)
			return a.Unmap().WithZone(""), err == nil
		}
	}
	return netip.Addr{}, false
}
