package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inPrivate is set in the environment of the tests' own host.
const inPrivate = "MULTIHOP_TEST_PRIVATE"

// enterPrivateHost starts the tests again with a network of their own, and with
// their own /run, /var/log and /etc: what they start may change those, and ends
// with them. As another user than root, it does nothing.
func enterPrivateHost() {
	if kind := os.Getenv(dropped); kind != "" {
		dropMain(kind)
	}
	if os.Geteuid() != 0 {
		return
	}
	if os.Getenv(inPrivate) == "" {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Env = append(os.Environ(), inPrivate+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) {
			os.Exit(cmd.ProcessState.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "no host of their own for the tests:", err)
		return
	}
	if err := ownFolders(); err != nil {
		fmt.Fprintln(os.Stderr, "no host of their own for the tests:", err)
		os.Exit(1)
	}
}

func ownFolders() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	etc, err := os.MkdirTemp("", "etc") // a copy, which vanishes with the mount over it
	if err != nil {
		return err
	}
	if err := unix.Mount("etc", etc, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", "/etc/.", etc).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := unix.Mount(etc, "/etc", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	for _, dir := range []string{"/run", "/var/log"} {
		if err := unix.Mount("tests", dir, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	if err := os.Remove("/etc/resolv.conf"); err != nil && !os.IsNotExist(err) {
		return err
	}
	return errors.Join(
		os.Remove(etc),
		os.WriteFile("/etc/resolv.conf", []byte("nameserver 192.0.2.53\n"), 0o644),
		os.Mkdir("/etc/multihop", 0o700),
	)
}

// notPrivate says why the tests cannot start an instance; "": they can.
func notPrivate() string {
	if os.Getenv(inPrivate) == "" {
		return "needs root, to make namespaces"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "needs /dev/net/tun"
	}
	for tool, pkg := range map[string]string{"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "pgrep": "procps", "nft": "nftables", "sysctl": "procps", "bash": "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("needs %s (Debian package %s)", tool, pkg)
		}
	}
	return ""
}

// endLeftovers kills what a script, which failed, left running, and removes what
// that leaves in /run: the next one is not to meet it.
func endLeftovers(t *testing.T) {
	if notPrivate() != "" || os.Getpid() != 1 {
		return // of the processes in /proc some are others'
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil) // orphans are the first process's
		}
	}
	for _, pattern := range []string{"/run/multihop/*", "/run/multihop/.*.next", "/run/wireguard/*"} {
		paths, _ := filepath.Glob(pattern) // only a bad pattern fails
		for _, path := range paths {
			_ = os.Remove(path)
		}
	}
}
