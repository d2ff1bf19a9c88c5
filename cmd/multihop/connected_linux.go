package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// connected reports whether the connection of a session is established on this
// host. One that cannot be looked for is taken to be.
func connected(s session) bool {
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) && path == "/proc/self/net/tcp6" { // no IPv6
			continue
		}
		if err != nil {
			return true
		}
		found := established(f, s)
		_ = f.Close()
		if found {
			return true
		}
	}
	return false
}

// clientsOf returns the far ends of the connections to a port of this host that are
// established, as far as they may be read.
func clientsOf(port uint16) (clients []netip.Addr) {
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		if f, err := os.Open(path); err == nil {
			clients = append(clients, clientsIn(f, port)...)
			_ = f.Close()
		}
	}
	return clients
}

// clientsIn looks for connections to a port in the kernel's list.
func clientsIn(list io.Reader, port uint16) (clients []netip.Addr) {
	for lines := bufio.NewScanner(list); lines.Scan(); {
		if local, remote, ok := parseEstablished(lines.Text()); ok && local.Port() == port {
			clients = append(clients, remote.Addr())
		}
	}
	return clients
}

// established looks for a session's connection in the kernel's list. In one that
// cannot be read to its end it is taken to be.
func established(list io.Reader, s session) bool {
	want := func(e netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(e.Addr().WithZone(""), e.Port()) }
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		local, remote, ok := parseEstablished(lines.Text())
		if ok && local == want(s.server) && remote == want(s.client) {
			return true
		}
	}
	return lines.Err() != nil
}

// parseEstablished reads a line of the list; not ok: it is of no connection that is
// established.
func parseEstablished(line string) (local, remote netip.AddrPort, ok bool) {
	f := strings.Fields(line)       // number, local, remote, state, ...
	if len(f) < 4 || f[3] != "01" { // TCP_ESTABLISHED
		return local, remote, false
	}
	local, ok1 := parseEnd(f[1])
	remote, ok2 := parseEnd(f[2])
	return local, remote, ok1 && ok2
}

// parseEnd reads ADDRESS:PORT in hexadecimal: the address in words of 32 bits as
// the processor has them, each of whose bytes are the network's.
func parseEnd(text string) (netip.AddrPort, bool) {
	a, p, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(a)
	port, portErr := strconv.ParseUint(p, 16, 16)
	if err != nil || portErr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}
