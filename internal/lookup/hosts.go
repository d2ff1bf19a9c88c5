package lookup

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// hosts returns the addresses of name in the hosts file at path ("":
// /etc/hosts), those of IPv4 first. A file that cannot be read has none.
func hosts(path, name string) []netip.Addr {
	if path == "" {
		path = "/etc/hosts"
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	return readHosts(f, name)
}

// readHosts looks name up in a hosts(5) file. Files that block advertisers are
// large, so it is read line by line; a line over 64 KiB ends it.
func readHosts(r io.Reader, name string) []netip.Addr {
	name = strings.TrimSuffix(name, ".")
	var v4, v6 []netip.Addr
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(s string) bool {
			return strings.EqualFold(strings.TrimSuffix(s, "."), name)
		}) {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		if a = a.Unmap(); a.Is4() {
			v4 = add(v4, a)
		} else {
			v6 = add(v6, a)
		}
	}
	return append(v4, v6...)
}

// add appends a, unless it is there or the list is full.
func add(list []netip.Addr, a netip.Addr) []netip.Addr {
	if len(list) == maxAddrs || slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}
