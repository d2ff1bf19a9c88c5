package host_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"multihop/internal/e2e/host"
	"multihop/internal/netlab"
)

// sshPort is where the host waits for sessions.
const sshPort = 22

// session connects to the host as an SSH client at from does, and returns what
// sshd puts into the environment of the session.
func session(t *testing.T, from *netlab.Host, client, server netip.Addr) (env string, end func()) {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0)), Timeout: startTime}
	var c net.Conn
	err := from.Do(func() (err error) {
		c, err = d.Dial("tcp", netip.AddrPortFrom(server, sshPort).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	end = func() { _ = c.Close() }
	t.Cleanup(end)
	local := netip.MustParseAddrPort(c.LocalAddr().String())
	return fmt.Sprintf("SSH_CONNECTION=%v %d %v %d", client, local.Port(), server, sshPort), end
}

// TestSSH refuses an up, or a reload, that would cut the session which asks for
// it.
func TestSSH(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	n.Host.ServeTCP(t, sshPort, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	before := n.State(t)
	far, near := netip.MustParseAddr("203.0.113.9"), host.NeighbourAddr().V4
	site, siteEnd := session(t, n.Internet, far, host.HostAddr().V4)
	site6, _ := session(t, n.Internet, netip.MustParseAddr("2001:db8:99::9"), host.HostPublic())
	lan, _ := session(t, n.Neighbour, near, host.HostAddr().V4)
	gone, end := session(t, n.Internet, far, host.HostAddr().V4)
	end()
	run := func(env string, args ...string) (string, error) {
		return n.Run("env", append([]string{env, n.Programs.Multihop}, args...)...)
	}
	refused := func(t *testing.T, out string, err error, says string) {
		t.Helper()
		switch {
		case says == "" && err != nil:
			t.Errorf("refused: %v\n%s", err, out)
		case says != "" && (err == nil || !strings.Contains(out, says)):
			t.Errorf("%v, want a refusal that names %s:\n%s", err, says, out)
		}
	}

	for _, f := range []struct {
		name, env string
		args      []string
		says      string // "": not refused
	}{
		{"from the LAN", lan, nil, ""},
		{"from the LAN, denied", lan, []string{"--lan", "deny"}, "LAN = allow"},
		{"from a site", site, nil, "Exclude = 203.0.113.9"},
		{"from an excluded site", site, []string{"--exclude", "203.0.113.0/24"}, ""},
		{"from a site, IPv6", site6, nil, "Exclude = 2001:db8:99::9"},
		{"in a multiplexer whose session has ended", gone, nil, "Exclude = 203.0.113.9"},
		{"of a session that has ended", strings.TrimSuffix(gone, " 22") + " 2222", nil, ""},
	} {
		t.Run("up "+f.name, func(t *testing.T) {
			i := n.Chain(t, "mh0", files(r), f.args...)
			out, err := run(f.env, append([]string{"up", "--name", "mh0"}, i.Args...)...)
			refused(t, out, err, f.says)
			if f.says == "" {
				i.Down(t)
			}
			n.Same(t, before, "afterwards")
		})
	}

	split := strings.Replace(hops, "Config = entry.conf", "Config = entry.conf\nRoutes = 10.64.0.1/32", 1)
	split = strings.Replace(split, "Via = entry", "Via = entry\nRoutes = 203.0.113.64/26", 1)
	for _, f := range []struct {
		name, env, from, to string
		says                string // "": not refused
	}{
		{"from a site", site, split, hops, "Exclude = 203.0.113.9"},
		{"in a multiplexer whose session has ended", gone, split, hops, "Exclude = 203.0.113.9"},
		{"from a site that is excluded", site, split, "Exclude = 203.0.113.9\n" + hops, ""},
		{"from the LAN", lan, hops, "LAN = deny\n" + hops, "LAN = allow"},
	} {
		t.Run("reload "+f.name, func(t *testing.T) {
			write := func(text string) {
				n.Write(t, "/etc/multihop", host.File{Name: "office.conf", Text: "[Interface]\n" + text})
			}
			i := n.Profile(t, host.File{Name: "office.conf", Text: "[Interface]\n" + f.from}, files(r)...)
			i.Up(t)
			up := n.State(t)
			write(f.to)
			out, err := run(f.env, "reload", "office")
			refused(t, out, err, f.says)
			if f.says != "" {
				n.Same(t, up, "after the refusal")
				i.Reload(t) // that nobody's session asks for
			}
			if n.State(t) == up {
				t.Error("the detector is blind: the reload changes nothing")
			}
			i.Down(t)
			n.Same(t, before, "after down")
		})
	}
	siteEnd()
}
