package host_test

import (
	"fmt"
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// hops are the sections of a profile for the chain.
const hops = "\n[Hop]\nName = entry\nConfig = entry.conf\n\n[Hop]\nName = exit\nVia = entry\nConfig = exit.conf\n"

// whoami is a program that says whom the site saw: netlab's echo over UDP, in the
// shell.
const whoami = `exec 3<>/dev/udp/%v/5002; echo x >&3; head -n 1 <&3`

// TestNetns keeps the TUN in a namespace of its own: programs in it have no
// other way out, and the rest of the host is as open as before.
func TestNetns(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	before := n.State(t)
	a := host.EntryAddr().V4
	i := n.Profile(t, host.File{Name: "app.conf", Text: "[Interface]\nNetns = apps\nDNS = exit\n" + hops},
		r.EntryFile(a, everything), r.ExitFile(a, everything, "DNS = 10.65.0.1"))
	inside := func(script string) (string, error) {
		return n.Multihop("exec", "app", "--", "timeout", "10", "bash", "-c", script)
	}
	seen := func(script string, want string) {
		t.Helper()
		if out, err := inside(script); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q, %v; want %q", script, out, err, want)
		}
	}
	v4, v6 := site()
	i.Up(t)
	seen(fmt.Sprintf(whoami, v4), host.Inner().V4.String()+":")
	seen(fmt.Sprintf(whoami, v6), "["+host.Inner().V6.String()+"]:")
	direct(t, n)

	name := "web.app.example"
	n.Records().Set(name, v4)
	seen("getent ahostsv4 "+name, v4.String())
	asked(t, n, name, "exit", host.Inner().V4)
	lookup(t, n, "host.example")
	asked(t, n, "host.example", "internet", host.HostAddr().V4)

	if out, err := inside("exit 7"); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("exit 7 inside: %v\n%s", err, out)
	}

	i.Kill(t)
	if out, err := n.Run("ip", "netns", "exec", "apps", "timeout", "3", "bash", "-c", fmt.Sprintf(whoami, v4)); err == nil {
		t.Errorf("after kill -9 a program in the namespace reached the site: %s", out)
	}
	i.Up(t)
	seen(fmt.Sprintf(whoami, v4), host.Inner().V4.String()+":")
	i.Down(t)
	n.Same(t, before, "after down")

	i.Up(t)
	i.Kill(t)
	i.Down(t)
	n.Same(t, before, "after kill -9 and down")
}
