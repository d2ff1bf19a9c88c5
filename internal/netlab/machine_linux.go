package netlab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Machine makes a [Host] that has more of its own than a network: processes,
// and the folders /run, /etc and /var/log. Programs that it runs find an empty
// /run and /var/log and a copy of the machine's /etc, and what they write there
// nobody else sees. Processes that leave their parents end with the lab, too.
//
// Only programs see these files at their usual paths; Go functions find them
// below [Host.Root].
func (l *Lab) Machine(name string) *Host {
	l.tb.Helper()
	for _, tool := range []string{"cp", "env", "sleep"} {
		RequireTool(l.tb, tool, "coreutils")
	}
	RequireTool(l.tb, "mount", "mount")
	h := l.Host(name)
	etc := l.tb.TempDir()
	// Before there is a process space: to start its first program, os/exec makes
	// another process, which would be the space's first.
	l.mustRun(h, "cp", "-a", "/etc/.", etc)
	var err error
	h.onThread(func() { err = h.separate(etc) })
	if err != nil {
		l.tb.Fatalf("netlab: host %s: own files: %v", name, err)
	}
	// The first process takes over the others' orphans. It ignores SIGCHLD, so
	// that the kernel forgets them when they end; and when it ends itself, at
	// the latest with the test process, the kernel kills them all.
	h.Start(l.tb, nil, "env", "--ignore-signal=CHLD", "sleep", "infinity")
	// The others do without a parent-death signal: where a process cannot see
	// its parent's id, package syscall takes the parent for dead.
	h.reaped = true
	l.mustRun(h, "mount", "-n", "-t", "proc", "proc", "/proc") // the space's, so by a process in it
	return h
}

func (l *Lab) mustRun(h *Host, name string, args ...string) {
	l.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := h.Run(ctx, name, args...); err != nil {
		l.tb.Fatalf("%v\n%s", err, out)
	}
}

// separate runs on the host's thread: that has a mount namespace of its own
// from now on, and the processes that it starts, a process namespace besides.
func (h *Host) separate(etc string) error {
	h.tid = unix.Gettid()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount(etc, "/etc", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /etc: %w", err)
	}
	for _, at := range []string{"/run", "/var/log"} {
		if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64m"); err != nil {
			return fmt.Errorf("mount %s: %w", at, err)
		}
	}
	return nil
}

// Root is where the host's files are found from outside of it: the /etc of a
// [Lab.Machine] is Root()/etc. Other hosts share the root of everybody.
func (h *Host) Root() string {
	if h.tid == 0 {
		return "/"
	}
	return filepath.Join("/proc/self/task", strconv.Itoa(h.tid), "root")
}

// Processes returns the ids of the processes, in h's network, that run the
// program at path.
func (h *Host) Processes(path string) []int {
	h.lab.tb.Helper()
	want, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", int(h.ns)))
	if err != nil {
		h.lab.tb.Fatalf("netlab: %s: %v", h.Name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		h.lab.tb.Fatalf("netlab: %s: %v", h.Name, err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that ends meanwhile has neither link.
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		ns, _ := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net"))
		if exe == path && ns == want {
			pids = append(pids, pid)
		}
	}
	return pids
}
