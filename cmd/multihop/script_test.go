package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"multihop": main})
}

// TestScripts runs testdata/script, each a dialogue with the command line.
// Those about a running instance need root: they are in a network namespace of
// their own, by unshare (Debian package util-linux).
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "netns":
			case "hup": // not so under nohup, which run respects
				return !signal.Ignored(syscall.SIGHUP), nil
			default:
				return false, fmt.Errorf("no condition %q", cond)
			}
			_, tun := os.Stat("/dev/net/tun")
			_, unshare := exec.LookPath("unshare")
			return os.Geteuid() == 0 && tun == nil && unshare == nil, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0")            // else each command takes a second under -race
			e.Setenv("TUN", fmt.Sprintf("mhs%d", os.Getpid())) // names are shared by all namespaces
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor,
		},
	})
}

// waitFor is "[!] waitfor FILE": waits until it exists, or no longer does.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] waitfor file")
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		if os.IsNotExist(err) == neg {
			return
		}
	}
	ts.Fatalf("waitfor %s: still not so after 10 s", args[0])
}
