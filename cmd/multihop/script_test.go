package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if strings.HasSuffix(os.Args[0], ".test") { // not the command itself, in a script
		enterPrivateHost()
	}
	testscript.Main(m, map[string]func(){"multihop": main})
}

// TestScripts runs testdata/script, each a dialogue with the command line, one
// after the other. Those about a running instance need root: they run in network
// namespaces, and all of them in a mount namespace of their own.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, s := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(s), ".txtar"), func(t *testing.T) { runScript(t, s) })
	}
}

func runScript(t *testing.T, script string) {
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "private":
				why := notPrivate()
				if why != "" && os.Getenv("CI") == "true" {
					return false, fmt.Errorf("cannot be skipped in CI: %s", why)
				}
				return why == "", nil
			case "hup": // not so under nohup, which run respects
				return !signal.Ignored(syscall.SIGHUP), nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command takes a second under -race
			e.Defer(func() { endLeftovers(t) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor,
			"host":    makeHost,
			"changed": hostChanged,
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

// makeHost is "host NAME": makes a network namespace NAME with an uplink eth0,
// 192.0.2.2/24 and 2001:db8::2/64, whose gateways never answer. Commands run there
// by "in NAME".
func makeHost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: host name")
	}
	name := args[0]
	for _, command := range []string{
		"ip netns add " + name,
		"ip -n " + name + " link set lo up",
		"ip -n " + name + " link add eth0 type veth peer name peer0",
		"ip -n " + name + " link set eth0 addrgenmode none", // whose address would come later
		"ip -n " + name + " link set peer0 addrgenmode none",
		"ip -n " + name + " address add 192.0.2.2/24 dev eth0",
		"ip -n " + name + " address add 2001:db8::2/64 dev eth0 nodad",
		"ip -n " + name + " link set peer0 up",
		"ip -n " + name + " link set eth0 up",
		"ip -n " + name + " route add default via 192.0.2.1",
		"ip -n " + name + " -6 route add default via 2001:db8::1",
	} {
		ts.Check(ts.Exec("ip", strings.Fields(command)[1:]...))
	}
	for range 500 { // until the wire has settled
		if out, err := exec.Command("ip", "-n", name, "link", "show", "up").Output(); err == nil && strings.Count(string(out), "state UP") == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Defer(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
}

// hostChanged is "[!] changed NAME FILE": whether the addresses, routes, rules,
// firewall and settings of a host differ from those in FILE. It writes FILE if there
// is none.
func hostChanged(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] changed name file")
	}
	var now strings.Builder
	for _, command := range []string{
		"ip -d address", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "nft list ruleset",
		"sysctl -a --pattern rp_filter|src_valid_mark|arp_ignore", "cat /etc/resolv.conf",
	} {
		words := append([]string{"--net=/run/netns/" + args[0]}, strings.Fields(command)...)
		out, err := exec.Command("nsenter", words...).CombinedOutput()
		if err != nil {
			ts.Fatalf("%s: %v\n%s", command, err, out)
		}
		fmt.Fprintf(&now, "# %s\n%s", command, out)
	}
	path := ts.MkAbs(args[1])
	before, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		ts.Check(os.WriteFile(path, []byte(now.String()), 0o600))
		return
	}
	ts.Check(err)
	diff := cmp.Diff(strings.Split(string(before), "\n"), strings.Split(now.String(), "\n"))
	if changed := diff != ""; changed == neg {
		ts.Fatalf("changed is %v (-before +now):\n%s", changed, diff)
	}
}
