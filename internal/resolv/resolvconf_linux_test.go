package resolv

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// resolvconfHost has a resolvconf whose resolv.conf names the LAN's resolver.
func resolvconfHost(t *testing.T, pkg string) *host {
	t.Helper()
	setup(t, pkg)
	run(t, "ip", "tuntap", "add", "mh0", "mode", "tun")
	h := real(t)
	if pkg == "resolvconf" { // what its service does
		h.write("/run/resolvconf/enable-updates", "")
		h.write("/run/resolvconf/interface/.keep", "")
		h.symlink("../run/resolvconf/resolv.conf", resolvConf)
	} else if err := os.Remove(resolvConf); err != nil {
		t.Fatal(err)
	}
	record(t, "eth0.dhclient", "search lan.example\n"+lan)
	if got := h.seen(); got != "192.0.2.53" {
		t.Fatalf("before: programs see %s", got)
	}
	return h
}

// record gives resolvconf a record, as a DHCP client does.
func record(t *testing.T, name, content string) {
	t.Helper()
	cmd := exec.Command("resolvconf", "-a", name)
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// The programs of Debian 12: openresolv, and resolvconf.
func testResolvconf(t *testing.T, pkg, name, up, moved, warning string) {
	h := resolvconfHost(t, pkg)
	before := tree(t, "/etc", "/run/resolvconf")
	if u, err := h.Upstream(t.Context(), ""); err != nil || join(u.Servers, " ") != "192.0.2.53" {
		t.Errorf("upstream %v, %v", u, err)
	}

	r, err := h.Prepare(t.Context(), Settings{Link: "mh0", Servers: addrs("10.64.0.1", "fd00::1"), Search: []string{"corp.example"}, Default: true})
	if err != nil || r.Resolvconf != name || r.File != nil || r.Resolved {
		t.Fatalf("%+v, %v", r, err)
	}
	r = journal(t, r)
	h.down(r) // killed before Apply
	for range 2 {
		warnings, err := h.Apply(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(warnings, "\n"); (got == "") != (warning == "") || !strings.Contains(got, warning) {
			t.Errorf("warnings %q, want %q", got, warning)
		}
		if got := h.seen(); got != up {
			t.Errorf("programs see %s, want %s", got, up)
		}
	}
	if b, err := os.ReadFile(resolvConf); err != nil || !strings.Contains(string(b), "search corp.example") {
		t.Errorf("%v: %s", err, b)
	}
	h.intact(r, true)
	if u, err := h.Upstream(t.Context(), "mh0"); err != nil || join(u.Servers, " ") != "192.0.2.53" {
		t.Errorf("while up: upstream %v, %v", u, err)
	}

	record(t, "eth0.dhclient", "search lan.example\nnameserver 198.51.100.53\n") // another network
	h.intact(r, true)
	if got := h.seen(); got != moved {
		t.Errorf("on another network programs see %s, want %s", got, moved)
	}
	if u, err := h.Upstream(t.Context(), "mh0"); err != nil || join(u.Servers, " ") != "198.51.100.53" {
		t.Errorf("on another network: upstream %v, %v", u, err)
	}
	record(t, "eth0.dhclient", "search lan.example\n"+lan)

	run(t, "resolvconf", "-d", name, "-f") // by somebody else
	next := h.intact(r, false)
	if _, err := h.Apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	h.intact(next, true)

	h.down(next)
	// The folders that openresolv keeps for its options are made with the first.
	gone := strings.NewReplacer("/run/resolvconf/metrics drwxr-xr-x \"\"\n", "", "/run/resolvconf/exclusive drwxr-xr-x \"\"\n", "")
	if diff := cmp.Diff(gone.Replace(before), gone.Replace(tree(t, "/etc", "/run/resolvconf"))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOpenresolv(t *testing.T) {
	if !inside(t, "openresolv") {
		return
	}
	testResolvconf(t, "openresolv", "mh0", "10.64.0.1 fd00::1", "10.64.0.1 fd00::1", "")
}

// Debian's resolvconf knows no exclusive record: the LAN's resolver stays, last.
func TestDebianResolvconf(t *testing.T) {
	if !inside(t, "resolvconf") {
		return
	}
	testResolvconf(t, "resolvconf", "tun.mh0", "10.64.0.1 fd00::1 192.0.2.53", "10.64.0.1 fd00::1 198.51.100.53", "keeps 192.0.2.53")
}

// A resolvconf that does not update resolv.conf is no help.
func TestResolvconfWithoutEffect(t *testing.T) {
	if !inside(t, "resolvconf") {
		return
	}
	h := resolvconfHost(t, "resolvconf")
	run(t, "resolvconf", "--disable-updates")
	r, err := h.Prepare(t.Context(), settings("mh0", "10.64.0.1"))
	if err != nil || r.Resolvconf == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := h.Apply(t.Context(), r); err == nil || !strings.Contains(err.Error(), "does not list them") {
		t.Errorf("%v; programs see %s", err, h.seen())
	}
	h.down(r)

	h.Resolvconf = "/nonexistent/resolvconf"
	if err := h.Undo(t.Context(), r); err == nil {
		t.Error("without the program: no error")
	}
	h.Resolvconf = "/bin/false"
	if _, err := h.Apply(t.Context(), r); err == nil || !strings.Contains(err.Error(), "-a tun.mh0") {
		t.Errorf("a program that fails: %v", err)
	}
}
