package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"multihop/conf"
	"multihop/router"
)

// privileges says what an instance needs once it is set up, beside
// CAP_NET_ADMIN.
type privileges struct {
	all      bool // for its hooks: whatever it was started with
	netns    bool // CAP_SYS_ADMIN, to enter the TUN's namespace
	foreign  bool // CAP_DAC_READ_SEARCH, to read somebody else's files again
	lowPorts bool // CAP_NET_BIND_SERVICE, for new sockets of a ListenPort under 1024
}

// needs returns the privileges that in needs.
func needs(in *conf.Instance) privileges {
	s := &in.Settings
	p := privileges{
		all:   len(s.PreUp)+len(s.PostUp)+len(s.PreDown)+len(s.PostDown) > 0,
		netns: s.Netns != "",
	}
	p.foreign = slices.ContainsFunc(in.Files, foreign)
	p.lowPorts = hasLowPort(in.Config.Hops)
	return p
}

// foreign reports whether it takes more than being its owner to read the file at
// path: it, or a folder on the way to it, is another user's. What cannot be known
// is taken for that.
func foreign(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return true
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		open := info.IsDir() && info.Mode().Perm()&0o001 != 0
		if !ok || !open && int(st.Uid) != os.Geteuid() {
			return true
		}
		if path == filepath.Dir(path) {
			return false
		}
	}
}

func hasLowPort(hops []router.Hop) bool {
	for _, h := range hops {
		if h.ListenPort > 0 && h.ListenPort < 1024 {
			return true
		}
	}
	return false
}

// cover reports whether p is enough where q is needed.
func (p privileges) cover(q privileges) bool {
	return p.all || !q.all && (p.netns || !q.netns) && (p.foreign || !q.foreign) && (p.lowPorts || !q.lowPorts)
}

// keep returns the capabilities.
func (p privileges) keep() []cap.Value {
	keep := []cap.Value{cap.NET_ADMIN}
	if p.netns {
		keep = append(keep, cap.SYS_ADMIN)
	}
	if p.foreign {
		keep = append(keep, cap.DAC_READ_SEARCH)
	}
	if p.lowPorts {
		keep = append(keep, cap.NET_BIND_SERVICE)
	}
	return keep
}

// drop gives up, in every thread and for good, what p does not have: other
// capabilities, also for programs that are started, and gaining any by starting
// one.
func (p privileges) drop() error {
	if p.all {
		return nil
	}
	had := cap.GetProc()
	next := cap.NewSet()
	kept := make(map[cap.Value]bool)
	for _, c := range p.keep() {
		kept[c] = true
		for _, vector := range []cap.Flag{cap.Permitted, cap.Effective} {
			has, err := had.GetFlag(vector, c)
			if err == nil && has {
				err = next.SetFlag(vector, true, c)
			}
			if err != nil {
				return fmt.Errorf("drop privileges: %v: %w", c, err)
			}
		}
	}
	if may, _ := had.GetFlag(cap.Effective, cap.SETPCAP); may {
		for c := cap.Value(0); c < cap.MaxBits(); c++ {
			if !kept[c] {
				if err := cap.DropBound(c); err != nil {
					return fmt.Errorf("drop privileges: bounding set: %v: %w", c, err)
				}
			}
		}
	}
	if err := next.SetProc(); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("drop privileges: no_new_privs: %w", err)
	}
	return nil
}
