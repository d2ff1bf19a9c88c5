package host_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// asked checks that the last question about name was asked of the resolver at,
// by from.
func asked(t *testing.T, n *host.Network, name, at string, from netip.Addr) {
	t.Helper()
	var queries []host.Query
	for end := time.Now().Add(startTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if queries = n.Records().Queries(name); len(queries) > 0 {
			break
		}
	}
	if len(queries) == 0 {
		t.Errorf("nobody was asked for %s", name)
	}
	for _, q := range queries {
		if q.At != at || q.From != from {
			t.Errorf("%s was asked of %s by %v, want of %s by %v", name, q.At, q.From, at, from)
		}
	}
}

// lookup makes a program of the host resolve a name, once per label so that
// each look-up is another name.
func lookup(t *testing.T, n *host.Network, name string) {
	t.Helper()
	n.Records().Set(name, netip.MustParseAddr("203.0.113.77"))
	out, err := n.Run("getent", "ahostsv4", name)
	if err != nil || !strings.Contains(out, "203.0.113.77") {
		t.Errorf("getent %s: %v\n%s", name, err, out)
	}
}

// TestDNS checks whom the host's programs ask: of a chain, the innermost hop's
// resolvers, through that hop; of a profile, those that it says, through the
// hop that it says.
func TestDNS(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	before := n.State(t)
	lookup(t, n, "before.example")
	asked(t, n, "before.example", "internet", host.HostAddr().V4)

	a := host.EntryAddr().V4
	entry := r.EntryFile(a, everything, "DNS = 10.64.0.1, fd64::1")
	exit := r.ExitFile(a, everything, "DNS = 10.65.0.1, corp.example")
	const hops = "\n[Hop]\nName = entry\nConfig = entry.conf\n\n[Hop]\nName = exit\nVia = entry\nConfig = exit.conf\n"
	for _, f := range []struct {
		name     string
		instance *host.Instance
		at       string
		from     netip.Addr
		server   string // in resolv.conf
	}{
		{"chain", n.Chain(t, "mh0", []host.File{entry, exit}), "exit", host.Inner().V4, "10.65.0.1"},
		{"profile, a hop's", n.Profile(t, host.File{Name: "outer.conf", Text: "[Interface]\nDNS = entry\n" + hops}, entry, exit),
			"entry", host.Outer().V4, "10.64.0.1"},
		{"profile, an address via a hop", n.Profile(t, host.File{Name: "via.conf", Text: "[Interface]\nDNS = 9.9.9.9 via entry\n" + hops}, entry, exit),
			"internet", host.Outer().V4, "9.9.9.9"},
		{"profile, an address via the exit", n.Profile(t, host.File{Name: "via2.conf", Text: "[Interface]\nDNS = 9.9.9.9 via exit\n" + hops}, entry, exit),
			"internet", host.Inner().V4, "9.9.9.9"},
	} {
		t.Run(f.name, func(t *testing.T) {
			i := f.instance
			i.Up(t)
			bothHops(t, n)
			if got := n.Read("/etc/resolv.conf"); !strings.Contains(got, "nameserver "+f.server+"\n") {
				t.Errorf("resolv.conf:\n%s", got)
			}
			name := fmt.Sprintf("up.%s.example", i.Name)
			lookup(t, n, name)
			asked(t, n, name, f.at, f.from)
			i.Kill(t)
			i.Up(t)
			name = fmt.Sprintf("again.%s.example", i.Name)
			lookup(t, n, name)
			asked(t, n, name, f.at, f.from)
			i.Kill(t)
			i.Down(t)
			n.Same(t, before, "after kill -9 and down")
		})
	}
	lookup(t, n, "after.example")
	asked(t, n, "after.example", "internet", host.HostAddr().V4)
}

// TestNames gives the relays by name: the entry's is asked of the resolver that
// the host has, outside the tunnel, though a kill switch stands; the exit's is
// asked of the entry's resolver, through the entry.
func TestNames(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	u := n.WatchUplink(t, nil, host.UplinkOptions{Names: []string{"entry.example"}})
	chain := named(n, r)
	v4, _ := site()
	outside := func() { sees(t, n, v4, host.Inner().V4) }
	inside := func() {
		out, err := n.Run("ip", "netns", "exec", "apps", "timeout", "15", "bash", "-c", fmt.Sprintf(whoami, v4))
		if err != nil || !strings.HasPrefix(out, host.Inner().V4.String()+":") {
			t.Errorf("in the namespace: %q, %v; want %v", out, err, host.Inner().V4)
		}
	}
	for _, f := range []struct {
		name     string
		instance *host.Instance
		reaches  func()
		closed   bool // by a kill switch
	}{
		{"kill switch", n.Chain(t, "mh0", chain), outside, true},
		{"table", n.Chain(t, "mh1", chain, "--table", "1234", "--fwmark", "0x77"), outside, true},
		{"namespace", n.Profile(t, host.File{Name: "app.conf", Text: "[Interface]\nNetns = apps\n" + hops}, chain...), inside, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			i := f.instance
			if f.name == "table" { // its rule is the administrator's
				n.IP(t, "rule", "add", "not", "fwmark", "0x77", "table", "1234", "priority", "6000")
				n.IP(t, "rule", "add", "to", "192.168.7.0/24", "table", "main", "priority", "5999")
			}
			u.Mark(t)
			i.Up(t)
			f.reaches()
			asked(t, n, "entry.example", "internet", host.HostAddr().V4)
			asked(t, n, "exit.example", "entry", host.Outer().V4)
			if _, first := u.Tunnel(); f.closed {
				u.NoneAfter(t, "up", first)
			}

			u.Mark(t)
			n.Records().Forget()
			i.Kill(t)
			i.Up(t) // asks again, behind the kill switch of the one that was killed
			f.reaches()
			asked(t, n, "entry.example", "internet", host.HostAddr().V4)
			asked(t, n, "exit.example", "entry", host.Outer().V4)
			if f.closed {
				u.None(t, "kill -9 and restart")
			}
			i.Down(t)
			n.Records().Forget()
			if f.name == "table" {
				n.IP(t, "rule", "del", "priority", "6000")
				n.IP(t, "rule", "del", "priority", "5999")
			}
		})
	}
}
