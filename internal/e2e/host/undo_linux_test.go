package host_test

import (
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// TestUndo compares all that a program could leave on the host, before up and
// after down, in every setting that tells the host something else.
func TestUndo(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	n.Host.Sysctl("ipv4/conf/all/arp_ignore=0")
	r := n.StartRelays(t)
	a := host.EntryAddr().V4
	split := []host.File{r.EntryFile(a, everything), r.ExitFile(a, "203.0.113.0/24, 2001:db8:99::/64")}
	dns := []host.File{r.EntryFile(a, everything), r.ExitFile(a, everything, "DNS = 10.65.0.1, fd65::1, corp.example")}
	before := n.State(t)

	for _, f := range []struct {
		name  string
		files []host.File
		args  []string
	}{
		{"default", files(r), nil},
		{"LAN denied", files(r), []string{"--lan", "deny"}},
		{"no kill switch", files(r), []string{"--kill-switch", "no"}},
		{"exclude", files(r), []string{"--exclude", "9.9.9.0/24"}},
		{"table", files(r), []string{"--table", "1234", "--fwmark", "0x77"}},
		{"mark", files(r), []string{"--fwmark", "0x77"}},
		{"IPv6 direct", []host.File{r.EntryFile(a, everything), r.ExitFile(a, "0.0.0.0/0")}, []string{"--ipv6", "direct"}},
		{"split", split, nil},
		{"split, kill switch", split, []string{"--kill-switch", "yes"}},
		{"DNS", dns, nil},
		{"split, DNS", []host.File{split[0], dns[1]}, []string{"--route", "203.0.113.0/24"}},
		{"table off", files(r), []string{"--table", "off"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			i := n.Chain(t, "mh0", f.files, f.args...)
			i.Up(t)
			if n.State(t) == before {
				t.Fatal("the detector is blind: an instance changes nothing")
			}
			if f.name == "default" {
				bothHops(t, n)
			}
			i.Down(t)
			n.Same(t, before, "after down")
			i.Down(t) // of nothing
			n.Same(t, before, "after the second down")

			i.Up(t)
			i.Kill(t)
			i.Down(t)
			n.Same(t, before, "after kill -9 and down")

			i.Up(t)
			up := n.State(t)
			i.Kill(t)
			i.Up(t)
			n.Same(t, up, "after kill -9 and up")
			i.Reload(t)
			n.Same(t, up, "after a reload")
			i.Down(t)
			n.Same(t, before, "after kill -9, up and down")
		})
	}
	direct(t, n)
}

// TestRefused starts what cannot be: one clear line, and the host is as before.
func TestRefused(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	good := files(r)
	broken := good[1]
	broken.Text = strings.Replace(broken.Text, "Endpoint", "Endpiont", 1)
	before := n.State(t)
	for _, f := range []struct {
		name  string
		files []host.File
		args  []string
		says  string
	}{
		{"misspelt key", []host.File{good[0], broken}, nil, "Endpiont"},
		{"unknown setting", good, []string{"--lan", "perhaps"}, "perhaps"},
		{"no such file", nil, []string{"/etc/chain/none.conf"}, "none.conf"},
		{"name of an interface", good, []string{"--name", "eth0"}, "eth0"},
	} {
		t.Run(f.name, func(t *testing.T) {
			i := n.Chain(t, "mh0", f.files, f.args...)
			out, err := i.TryUp()
			if lines := strings.Split(strings.TrimSpace(out), "\n"); err == nil || !strings.Contains(lines[len(lines)-1], f.says) {
				t.Errorf("up: %v, want an error whose last line names %q:\n%s", err, f.says, out)
			}
			n.Same(t, before, "after the refusal")
		})
	}
	t.Run("name in use", func(t *testing.T) {
		i := n.Chain(t, "mh0", good)
		i.Up(t)
		up := n.State(t)
		if out, err := i.TryUp(); err == nil || !strings.Contains(out, "mh0") {
			t.Errorf("a second up: %v\n%s", err, out)
		}
		n.Same(t, up, "after the second up")
		bothHops(t, n)
		i.Down(t)
		n.Same(t, before, "after down")
	})
	t.Run("dry run", func(t *testing.T) {
		i := n.Chain(t, "mh0", good)
		out, err := i.TryUp("--dry-run")
		if err != nil || !strings.Contains(out, "[#] ") {
			t.Errorf("dry run: %v\n%s", err, out)
		}
		n.Same(t, before, "after a dry run")
	})
}

// TestOtherName finds what a profile's instance left, though it went by another
// name than the profile's.
func TestOtherName(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	before := n.State(t)
	i := n.Profile(t, host.File{Name: "office.conf", Text: "[Interface]\n" + hops}, files(r)...)
	i.Name = "vpn0"
	i.Up(t)
	if out, err := n.Multihop("down", "office"); err != nil {
		t.Errorf("down of the profile: %v\n%s", err, out)
	}
	n.Same(t, before, "after down by the profile's name")
	i.Up(t)
	i.Kill(t)
	if out, err := n.Multihop("status", "office"); err == nil || !strings.Contains(out, "vpn0") {
		t.Errorf("status of what has crashed does not name it: %v\n%s", err, out)
	}
	if out, err := n.Multihop("down", "office"); err != nil {
		t.Errorf("down of the profile after kill -9: %v\n%s", err, out)
	}
	n.Same(t, before, "after kill -9 and down by the profile's name")
}

// TestUserFiles starts files that are a user's own, from his folder: they are
// read again by a reload.
func TestUserFiles(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	before := n.State(t)
	for _, f := range files(r) {
		n.Write(t, "/etc/anna", f)
	}
	n.Must(t, "chown", "-R", "1000:1000", "/etc/anna")
	n.Must(t, "chmod", "700", "/etc/anna")
	i := n.Instance(t, "mh0")
	n.Must(t, "sh", "-c", "cd /etc/anna && exec "+n.Programs.Multihop+" up --name mh0 entry.conf exit.conf")
	bothHops(t, n)
	i.Reload(t)
	bothHops(t, n)
	i.Down(t)
	n.Same(t, before, "after down")
}
