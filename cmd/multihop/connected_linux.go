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

// established looks for a session's connection in the kernel's list.
func established(list io.Reader, s session) bool {
	want := func(e netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(e.Addr().WithZone(""), e.Port()) }
	for lines := bufio.NewScanner(list); lines.Scan(); {
		f := strings.Fields(lines.Text()) // number, local, remote, state, ...
		if len(f) < 4 || f[3] != "01" {   // TCP_ESTABLISHED
			continue
		}
		local, ok1 := parseEnd(f[1])
		remote, ok2 := parseEnd(f[2])
		if ok1 && ok2 && local == want(s.server) && remote == want(s.client) {
			return true
		}
	}
	return false
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
