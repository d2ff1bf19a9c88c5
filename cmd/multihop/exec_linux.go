package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"multihop/internal/control"
)

// Where ip-netns(8) keeps namespaces, and files for them.
const (
	netnsDir    = "/run/netns"
	netnsEtcDir = "/etc/netns"
)

// enter turns this process into a command in the namespace of an instance. It
// returns only if that fails.
//
// All of it happens on one thread, which execve makes the only one.
func enter(h control.Host, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	runtime.LockOSThread()
	if err := enterNetwork(filepath.Join(netnsDir, h.Netns)); err != nil {
		return fmt.Errorf("exec: namespace %s: %w", h.Netns, err)
	}
	if err := ownMounts(h); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	err = syscall.Exec(path, command, os.Environ())
	return fmt.Errorf("exec: %s: %w", path, err)
}

func enterNetwork(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
}

// ownMounts gives the thread mounts of its own: /sys of its network namespace,
// and files in /etc that say how names are looked up there.
func ownMounts(h control.Host) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mounts of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounts of its own: %w", err)
	}
	if err := remountSys(h.Netns); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := hideResolvers(); err != nil {
		return err
	}
	own, err := bindEtc(filepath.Join(netnsEtcDir, h.Netns))
	if err != nil {
		return err
	}
	if !own["resolv.conf"] {
		if err := bindResolvConf(resolvConf(h)); err != nil {
			return fmt.Errorf("/etc/resolv.conf: %w: the command would ask the host's resolver", err)
		}
	}
	return nil
}

// remountSys shows the interfaces of the namespace in /sys/class/net. A host
// without /sys has none to show.
func remountSys(name string) error {
	var old unix.Statfs_t
	flags := uintptr(0)
	if err := unix.Statfs("/sys", &old); err == nil && old.Flags&unix.ST_RDONLY != 0 {
		flags = unix.MS_RDONLY
	}
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return err
	}
	err := unix.Mount(name, "/sys", "sysfs", flags, "")
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// bindEtc puts each file in dir over the one of the same name in /etc, and
// returns the names.
func bindEtc(dir string) (map[string]bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool)
	for _, e := range entries {
		if err := bind(filepath.Join(dir, e.Name()), filepath.Join("/etc", e.Name())); err != nil {
			return nil, err
		}
		own[e.Name()] = true
	}
	return own, nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("put %s over %s: %w", from, to, err)
	}
	return nil
}

// resolvConf returns the resolv.conf of a namespace. Without DNS it names nobody,
// which means a resolver in the namespace itself: the host's are not for it.
func resolvConf(h control.Host) string {
	var b strings.Builder
	b.WriteString("# Made by multihop exec for the network namespace " + h.Netns + ".\n")
	for _, r := range h.DNS {
		b.WriteString("nameserver " + r.Addr.String() + "\n")
	}
	var search []string
	for _, s := range h.Search {
		search = append(search, strings.TrimPrefix(s, "~"))
	}
	if len(search) > 0 {
		b.WriteString("search " + strings.Join(search, " ") + "\n")
	}
	return b.String()
}

// bindResolvConf puts text over /etc/resolv.conf.
func bindResolvConf(text string) error {
	f, err := os.CreateTemp(control.Dir, ".resolv-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the mount keeps it
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return bind(f.Name(), "/etc/resolv.conf")
}

// resolverDirs are where programs have their sockets that look names up for
// others: systemd-resolved for nss-resolve, or by the system's D-Bus, nscd, and
// Avahi and SSSD for their own modules. A Unix socket knows no network namespace.
func resolverDirs() []string {
	return []string{"/run/systemd/resolve", "/run/dbus", "/run/nscd", "/run/avahi-daemon", "/var/lib/sss/pipes"}
}

// hideResolvers puts empty folders over those of such programs: for good, while a
// socket alone would be there again when its program starts again. Where
// /etc/resolv.conf is a link into one of them, an empty file is at its end.
func hideResolvers() error {
	link, err := os.Readlink("/etc/resolv.conf")
	if err == nil && !filepath.IsAbs(link) {
		link = filepath.Join("/etc", link)
	}
	for _, dir := range resolverDirs() {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := unix.Mount("multihop", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
		if filepath.Dir(link) != dir {
			continue
		}
		if err := os.WriteFile(link, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}
