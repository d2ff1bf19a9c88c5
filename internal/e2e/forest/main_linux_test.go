package forest_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// parallel is how many tests run at once, however few processors there are:
// those that may do so wait most of the time.
const parallel = "8"

// built is the programs under test and the folder that they are in.
type built struct {
	dir      string
	programs *e2e.Programs
}

// build compiles the programs, once for all tests.
var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "multihop-forest-")
	if err != nil {
		return built{}, err
	}
	p, err := e2e.BuildPrograms(dir)
	return built{dir, p}, err
})

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err) // no such flag
	}
	code := netlab.RunAlone(m)
	if os.Geteuid() == 0 {
		if b, _ := build(); b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

func programs(t *testing.T) *e2e.Programs {
	t.Helper()
	netlab.Require(t)
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b.programs
}

// An instance is a running `multihop run` on a machine of its own files.
type instance struct {
	*netlab.Process
	host    *netlab.Host
	program string
}

// tun is the name of an instance's TUN.
const tun = "mh0"

// start runs multihop on h with the arguments given, and returns once it is up.
// The process is asked to end with the test, and has to.
func start(t *testing.T, h *netlab.Host, p *e2e.Programs, args ...string) *instance {
	t.Helper()
	i := &instance{host: h, program: p.Multihop}
	i.Process = h.Start(t, nil, p.Multihop, append([]string{"run", "--name", tun}, args...)...)
	t.Cleanup(func() {
		i.stop(t)
		if strings.Contains(i.Output(), "WARNING: DATA RACE") || strings.Contains(i.Output(), "panic:") {
			t.Error("multihop reported a data race or a panic")
		}
		if t.Failed() {
			t.Logf("output of multihop run:\n%s", i.Output())
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := i.command("show", "--json", tun); err == nil {
			return i
		} else if i.Exited() || time.Now().After(end) {
			t.Fatalf("multihop run is not up: %v", err)
		}
	}
}

func (i *instance) stop(t *testing.T) {
	t.Helper()
	if i.Exited() {
		return
	}
	if err := i.Stop(); err != nil {
		t.Errorf("multihop run, asked to end: %v", err)
	}
}

// command runs a command of the binary to its end.
func (i *instance) command(args ...string) (string, error) { return run(i.host, i.program, args...) }

func run(h *netlab.Host, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return h.Run(ctx, program, args...)
}

// A status is what the tests need of `multihop show --json`.
type status struct {
	Hops   []e2e.HopStatus   `json:"hops"`
	Groups []groupStatus     `json:"groups"`
	Drops  map[string]uint64 `json:"drops"`
}

// A groupStatus is the state of a failover group.
type groupStatus struct {
	Name   string    `json:"name"`
	Active string    `json:"active"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	Hops   []struct {
		Name   string    `json:"name"`
		Health string    `json:"health"`
		Reason string    `json:"reason"`
		Heard  time.Time `json:"heard"`
	} `json:"hops"`
}

func (i *instance) status(t *testing.T) *status {
	t.Helper()
	out, err := i.command("show", "--json", tun)
	s := new(status)
	if err == nil {
		err = json.Unmarshal([]byte(out), s)
	}
	if err != nil {
		t.Fatalf("show --json: %v\n%s", err, out)
	}
	return s
}

func (s *status) hop(t *testing.T, name string) *e2e.HopStatus {
	t.Helper()
	for i := range s.Hops {
		if s.Hops[i].Name == name {
			return &s.Hops[i]
		}
	}
	t.Fatalf("show --json has no hop %q", name)
	return nil
}

func (s *status) group(t *testing.T, name string) *groupStatus {
	t.Helper()
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}
	t.Fatalf("show --json has no group %q", name)
	return nil
}
