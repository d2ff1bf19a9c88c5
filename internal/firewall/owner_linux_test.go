package firewall

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// TestOwner has a process make the table, others try to take it away, and then
// the process killed: the kill switch holds throughout, until the next process
// has taken the table over and removed it.
func TestOwner(t *testing.T) {
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	requireOwners(t, w.client)
	c := w.config()
	wire := outgoing(t, w.client, "eth0")
	holds := func(when string) {
		t.Helper()
		for _, s := range sides() {
			_ = dial(w.client, "udp", netip.AddrPortFrom(s.internet, 443), 0)
			_ = dial(w.box, "udp", netip.AddrPortFrom(s.internet, 443), 0)
		}
		if wire.Count() != 0 {
			t.Fatalf("%s: leaves: %s", when, wire.Report())
		}
	}
	attack := func(when string) {
		t.Helper()
		for _, command := range []string{
			"flush ruleset", "delete table inet multihop-mh0", "flush table inet multihop-mh0",
			"flush chain inet multihop-mh0 output", "insert rule inet multihop-mh0 output accept",
			"add chain inet multihop-mh0 output { policy accept; }", "add table inet multihop-mh0 { flags dormant; }",
		} {
			out, err := w.client.Run(context.Background(), nft, command)
			if err == nil && command != "flush ruleset" { // that passes the table by
				t.Errorf("%s: nft %s: no error: %s", when, command, out)
			}
		}
		holds(when + ", attacked")
	}

	child := w.child(t)
	holds("up")
	attack("up")
	f := open(t, w.client)
	if err := f.Apply(c); !errors.Is(err, ErrOwned) {
		t.Errorf("Apply to a table of another process: %v", err)
	}
	if err := f.Remove(c.Table); !errors.Is(err, ErrOwned) {
		t.Errorf("Remove of a table of another process: %v", err)
	}
	child.Kill()
	holds("killed")
	if ok, err := f.Present(c); ok || err != nil {
		t.Errorf("Present of a table without an owner: %v, %v", ok, err)
	}
	apply(t, f, c)
	if ok, err := f.Present(c); !ok || err != nil {
		t.Errorf("Present after Apply: %v, %v", ok, err)
	}
	holds("taken over")
	attack("taken over")
	for range 2 {
		if err := f.Remove(c.Table); err != nil {
			t.Error(err)
		}
	}
	if out := list(t, w.client, nft, "ruleset"); out != "" {
		t.Errorf("after Remove: %s", out)
	}
	_ = dial(w.client, "udp", netip.AddrPortFrom(sides()[0].internet, 443), 0)
	if !wire.Wait(1, time.Second) {
		t.Error("nothing leaves after Remove: this test proves nothing")
	}
}

// TestOrphan removes the table of a process that was killed.
func TestOrphan(t *testing.T) {
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	child := w.child(t)
	child.Kill()
	if out := list(t, w.client, nft, "tables"); !strings.Contains(out, "multihop-mh0") {
		t.Fatalf("the table is gone: %s", out)
	}
	f := open(t, w.client)
	if err := f.Remove("multihop-mh0"); err != nil {
		t.Error(err)
	}
	if out := list(t, w.client, nft, "ruleset"); out != "" {
		t.Errorf("after Remove: %s", out)
	}
}

// TestForbidden has a thread without CAP_NET_ADMIN try.
func TestForbidden(t *testing.T) {
	w := newWorld(t)
	err := w.client.Do(func() error { // a thread of its own, which ends here
		f, err := Open()
		if err != nil {
			return err
		}
		defer f.Close()
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			return err
		}
		return f.Apply(w.config())
	})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("without the capability: %v", err)
	}
}

// child starts a process on the client that has made its table when child
// returns.
func (w *world) child(t *testing.T) *netlab.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := w.client.Start(t, []string{childEnv + "=1"}, self)
	for range 500 {
		if out := p.Output(); strings.Contains(out, "applied: <nil>\n") {
			return p
		} else if strings.Contains(out, "applied:") {
			t.Fatal(out)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the process does not come up: %s", p.Output())
	return nil
}

// requireOwners skips the test, or in a continuous build fails it, where the
// kernel has no owners of tables.
func requireOwners(t *testing.T, h *netlab.Host) {
	t.Helper()
	f := open(t, h)
	apply(t, f, Config{Table: "try", TUN: "try"})
	defer f.Close()
	if f.flags == 0 {
		const why = "needs nftables' table flags owner and persist: Linux 6.9"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if err := f.Remove("try"); err != nil {
		t.Fatal(err)
	}
}
