package resolv

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// An owner is who looks after resolv.conf.
type owner int

const (
	anybody      owner = iota // a person, a DHCP client, NetworkManager, another TUN of ours
	stub                      // resolved, which programs that read the file ask
	uplink                    // resolved, past which programs ask its servers
	byResolvconf              // resolvconf, openresolv's or Debian's
)

// owner tells by where the name leads, and by what the file says.
func (y *System) owner(o Original) owner {
	switch y.leadsTo(o) {
	case "/run/systemd/resolve/stub-resolv.conf", "/usr/lib/systemd/resolv.conf", "/lib/systemd/resolv.conf":
		return stub
	case "/run/systemd/resolve/resolv.conf":
		return uplink
	case "/run/resolvconf/resolv.conf":
		return byResolvconf
	}
	file := y.content(o)
	if list := nameservers(file); len(list) > 0 && !slices.ContainsFunc(list, func(a netip.Addr) bool { return !isStub(a) }) {
		return stub
	}
	if first, _, _ := bytes.Cut(file, []byte("\n")); bytes.Contains(first, []byte("enerated by resolvconf")) {
		return byResolvconf
	}
	return anybody
}

// leadsTo is the path that o's symbolic link leads to, below Root; "": o is none.
func (y *System) leadsTo(o Original) string {
	if o.Symlink == "" {
		return ""
	}
	target := o.Symlink
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(resolvConf), target)
	}
	end, err := filepath.EvalSymlinks(y.path(target))
	if err != nil { // it leads nowhere yet
		return target
	}
	root, err := filepath.EvalSymlinks(y.path("/"))
	if err != nil {
		return target
	}
	return filepath.Join("/", strings.TrimPrefix(end, root))
}

// content is what programs would read if o were at resolv.conf.
func (y *System) content(o Original) []byte {
	if o.Symlink == "" {
		return o.Content
	}
	file, err := readAll(y.path(y.leadsTo(o)))
	if err != nil {
		return nil
	}
	return file
}
