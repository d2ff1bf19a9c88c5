package main

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A session is the connection of an SSH session.
type session struct{ client, server netip.AddrPort }

// sshPeers returns the addresses from which the SSH session that this process is
// called from comes, or may come; none: it is not called from one.
func sshPeers() []netip.Addr {
	return peersIn(append([][]string{os.Environ()}, environmentsAbove(os.Getppid())...))
}

// peersIn is sshPeers for the environments of a process and of those above it, for
// sudo keeps the session from its child's. Where the only sessions are of
// connections that have ended, a terminal multiplexer has outlived them, and which
// connection its user has now does not show: it may be any to the same port.
func peersIn(envs [][]string) (peers []netip.Addr) {
	for _, env := range envs {
		s, ok := sessionIn(env)
		switch {
		case !ok:
		case connected(s):
			return []netip.Addr{s.client.Addr().WithZone("")}
		default:
			peers = append(peers, clientsOf(s.server.Port())...)
		}
	}
	slices.SortFunc(peers, netip.Addr.Compare)
	return slices.Compact(peers)
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
