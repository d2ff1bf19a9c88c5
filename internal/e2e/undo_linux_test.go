package e2e_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// TestUndo ends a running chain in every way that it should clean up after,
// and starts chains that must fail. Each time the host is as it was before.
func TestUndo(t *testing.T) {
	ip := netlab.RequireTool(t, "ip", "iproute2")
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	good := e2e.Chain{
		Entry: r.EntryConf(e2e.NearAddr().V4, "0.0.0.0/0", "::/0"), Exit: r.ExitConf(e2e.NearAddr().V4, "0.0.0.0/0", "::/0"),
		Routes: providerRoutes(),
	}
	before := state(t, n, ip)

	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			i := n.Run(t, good)
			reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
			if state(t, n, ip) == before {
				t.Fatal("the detector is blind: a running instance changes nothing")
			}
			if err := i.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err, ok := i.Wait(5 * time.Second); !ok || err != nil {
				t.Errorf("ended %v, %v; want exit status 0", ok, err)
			}
			same(t, n, ip, before)
		})
	}

	t.Run("under load", func(t *testing.T) {
		i := n.Run(t, good)
		done := make(chan error)
		go func() {
			_, err := n.Client.Upload(e2e.FarAddr().V4, 1<<40, 3*time.Second)
			done <- err
		}()
		time.Sleep(time.Second)
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("an endless transfer ended")
		}
		same(t, n, ip, before)
	})

	t.Run("killed, started again", func(t *testing.T) {
		i := n.Run(t, good)
		i.Kill()
		again := n.Launch(t, i.Name, good)
		if err := waitStatus(again); err != nil {
			t.Fatalf("the same name after kill -9: %v\n%s", err, again.Output())
		}
		reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
		if err := again.Stop(); err != nil {
			t.Error(err)
		}
		same(t, n, ip, before)
	})

	t.Run("name in use", func(t *testing.T) {
		i := n.Run(t, good)
		running := state(t, n, ip)
		refused(t, n.Launch(t, i.Name, good), i.Name)
		same(t, n, ip, running)
		reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
		_ = i.Stop()
		same(t, n, ip, before)
	})

	t.Run("name of an interface", func(t *testing.T) {
		refused(t, n.Launch(t, "eth0", good), "eth0")
		same(t, n, ip, before)
	})

	fails := []struct {
		name  string
		chain func(*e2e.Chain)
		says  string
	}{
		{"no such hop", func(c *e2e.Chain) { c.Routes = []string{"moon=10.0.0.0/8"} }, "moon"},
		{"route outside AllowedIPs", func(c *e2e.Chain) {
			c.Exit = r.ExitConf(e2e.NearAddr().V4, "203.0.113.128/25")
			c.Routes = []string{"203.0.113.0/25"}
		}, "203.0.113.0/25"},
		{"endpoint outside the carrier's AllowedIPs", func(c *e2e.Chain) {
			c.Entry = r.EntryConf(e2e.NearAddr().V4, "203.0.113.0/24")
		}, "198.51.100.2"},
		{"no private key", func(c *e2e.Chain) {
			c.Exit = r.ExitConf(e2e.NearAddr().V4, "0.0.0.0/0")
			c.Exit.PrivateKey = netlab.Key{}
		}, "PrivateKey"},
	}
	for _, tt := range fails {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.chain(&c)
			refused(t, n.Launch(t, n.Unique("f"), c), tt.says)
			same(t, n, ip, before)
		})
	}

	// A step that fails late: the kernel has one of the routes already.
	t.Run("route taken", func(t *testing.T) {
		n.Client.Via("192.0.2.1", "203.0.113.128/25")
		taken := state(t, n, ip)
		refused(t, n.Launch(t, n.Unique("f"), good), "203.0.113.128/25")
		same(t, n, ip, taken)
	})
}

// waitStatus waits until the instance answers or has ended.
func waitStatus(i *e2e.Instance) error {
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err = i.Status(); err == nil || i.Exited() {
			break
		}
	}
	return err
}

// refused checks that the instance ends at once with exit status 1 and an
// error that contains what.
func refused(t *testing.T, i *e2e.Instance, what string) {
	t.Helper()
	err, ok := i.Wait(5 * time.Second)
	if !ok {
		t.Fatal("still runs")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	lines := strings.Split(strings.TrimSpace(i.Output()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, what) {
		t.Errorf("last line %q does not name %q", last, what)
	}
}

// state is all that a chain could leave on the host.
func state(t *testing.T, n *e2e.Network, ip string) string {
	t.Helper()
	var all strings.Builder
	for _, args := range []string{
		"-d link", "addr", "rule", "-6 rule", "route show table all", "-6 route show table all",
	} {
		out, err := n.Client.Run(context.Background(), ip, strings.Fields(args)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all.WriteString("== ip " + args + "\n" + out)
	}
	// Names are the lab's own: the folders are the machine's.
	for _, dir := range []string{"/run/multihop", "/var/run/wireguard"} {
		paths, _ := filepath.Glob(filepath.Join(dir, n.Unique("")+"*"))
		for _, p := range paths {
			all.WriteString(p + "\n")
		}
	}
	return all.String()
}

// same checks that the host's state is want, soon.
func same(t *testing.T, n *e2e.Network, ip, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = state(t, n, ip); got == want {
			return
		}
	}
	t.Errorf("the host has changed. Before:\n%s\nafter:\n%s", want, got)
}

// TestPermissions refuses a file that others may read.
func TestPermissions(t *testing.T) {
	n := newNetwork(t)
	c := e2e.Conf{PrivateKey: netlab.NewKey(), Addrs: []netip.Addr{e2e.Outer().V4}, Peers: []e2e.ConfPeer{{
		PublicKey: netlab.NewKey().Public(), Endpoint: netip.AddrPortFrom(e2e.EntryAddr().V4, e2e.EntryPort), AllowedIPs: []string{"10.0.0.0/8"},
	}}}
	path := c.Write(t, t.TempDir(), "entry.conf")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := n.Multihop("run", "--name", n.Unique("p"), path)
	if err == nil || !strings.Contains(out, "chmod 600") || !strings.Contains(out, path) {
		t.Errorf("run of a world-readable file: %v, %q", err, out)
	}
}
