package main

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A session is the connection of an SSH session.
type session struct{ client, server netip.AddrPort }

// sshPeer returns the address from which the SSH session that this process is
// called from comes, if it is called from one. sudo keeps that from its child's
// environment, so those of the processes above are looked at, too. A session whose
// connection has ended, as in a terminal multiplexer that outlived it, is none.
func sshPeer() (netip.Addr, bool) {
	for _, env := range append([][]string{os.Environ()}, environmentsAbove(os.Getppid())...) {
		if s, ok := sessionIn(env); ok && connected(s) {
			return s.client.Addr().WithZone(""), true
		}
	}
	return netip.Addr{}, false
}

// sessionIn looks for sshd's SSH_CONNECTION: client's address and port, server's
// address and port.
func sessionIn(env []string) (s session, ok bool) {
	for _, e := range env {
		value, found := strings.CutPrefix(e, "SSH_CONNECTION=")
		if f := strings.Fields(value); found && len(f) == 4 {
			var ok1, ok2 bool
			s.client, ok1 = endOf(f[0], f[1])
			s.server, ok2 = endOf(f[2], f[3])
			return s, ok1 && ok2
		}
	}
	return s, false
}

func endOf(addr, port string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), err == nil
}
