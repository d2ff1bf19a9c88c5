package netlab

import (
	"crypto/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A Lab is a set of hosts and the wires between them. It ends with the test
// that made it.
type Lab struct {
	tb  testing.TB
	tag string // part of every name that others on the machine could see
}

// Require skips the test, saying why, unless it may make network namespaces
// and TUN devices. In a continuous build (environment CI=true) it fails
// instead: there these tests must run.
func Require(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		unable(tb, "needs root: makes network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		unable(tb, "needs TUN devices: "+err.Error())
	}
}

// RequireTool skips the test, or fails it as [Require] does, unless the program
// name, of the Debian package pkg, is installed. It returns the program's path.
func RequireTool(tb testing.TB, name, pkg string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		unable(tb, "needs the program "+name+": install Debian package "+pkg)
	}
	return path
}

func unable(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// New returns an empty lab, which ends with the test.
func New(tb testing.TB) *Lab {
	tb.Helper()
	Require(tb)
	return &Lab{tb: tb, tag: strings.ToLower(rand.Text()[:6])}
}

// Unique returns an interface name (at most 15 characters when suffix has at
// most 7) that no other lab on this machine has: WireGuard's sockets are named
// after interfaces, in a folder that all namespaces share.
func (l *Lab) Unique(suffix string) string { return "n" + l.tag + "-" + suffix }
