package resolv

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

const (
	resolvedBinary = "/usr/lib/systemd/systemd-resolved"
	busConf        = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>`
)

// A resolvedHost runs Debian's systemd-resolved on a bus of its own, with one
// link, eth0, and a TUN, mh0.
type resolvedHost struct {
	*host
	eth0, mh0 *wire
	stop      func() // resolved
	stopBus   func()
}

// insideResolved is inside, for tests that need resolved.
func insideResolved(t *testing.T) bool {
	tool(t, "dbus-daemon", "dbus-daemon")
	return inside(t, "systemd-resolved", "libsystemd-shared")
}

func newResolvedHost(t *testing.T) *resolvedHost {
	t.Helper()
	setup(t, "systemd-resolved", "libsystemd-shared")
	h := &resolvedHost{host: real(t)}
	for name, entry := range map[string]string{ // resolved becomes that user
		"/etc/passwd": "systemd-resolve:x:990:990::/:/usr/sbin/nologin\n",
		"/etc/group":  "systemd-resolve:x:990:\n",
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "\nsystemd-resolve:") {
			h.write(name, string(b)+entry)
		}
	}
	h.write("/run/bus.conf", busConf)
	h.write("/run/dbus/.keep", "")
	h.write("/run/systemd/netif/links/.keep", "") // resolved watches the folder from its start
	h.symlink("../run/systemd/resolve/stub-resolv.conf", resolvConf)
	h.eth0 = newWire(t, "eth0", "192.0.2.2/24")
	h.mh0 = newWire(t, "mh0", "10.64.0.2/24")
	h.startBus()
	h.startResolved()
	run(t, "resolvectl", "dns", "eth0", "192.0.2.53")
	return h
}

func (h *resolvedHost) startBus() {
	h.t.Helper()
	h.stopBus = start(h.t, "dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
	wait(h.t, "the bus runs", func() bool {
		b, err := h.dialBus(h.t.Context())
		if err != nil {
			return false
		}
		b.close()
		return true
	})
}

func (h *resolvedHost) startResolved() {
	h.t.Helper()
	h.write("/run/systemd/resolve/.keep", "")
	run(h.t, "chown", "systemd-resolve:", "/run/systemd/resolve")
	h.stop = start(h.t, resolvedBinary)
	wait(h.t, "resolved is on the bus", func() bool {
		b, err := h.openBus(h.t.Context(), false)
		if err != nil {
			return false
		}
		b.close()
		return true
	})
	wait(h.t, "its stub listens", func() bool {
		_, err := os.Stat("/run/systemd/resolve/stub-resolv.conf")
		return err == nil
	})
}

// status is what resolved says of itself, but for whom it asked last, and every
// file of its that matters.
func (h *resolvedHost) status() string {
	h.t.Helper()
	var s strings.Builder
	for line := range strings.Lines(run(h.t, "resolvectl", "status")) {
		if !strings.Contains(line, "Current DNS Server:") {
			s.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return s.String() + tree(h.t, "/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf", resolvConf)
}

func TestResolved(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	t.Log(run(t, resolvedBinary, "--version"))
	before := h.status()
	ask(t, "before.example.", h.eth0, h.mh0)
	if u, err := h.Upstream(t.Context(), ""); err != nil || join(u.Servers, " ") != "192.0.2.53" || len(u.Local) > 0 {
		t.Errorf("upstream %v, %v", u, err)
	}

	r := h.up(settings("mh0", "10.64.0.1"))
	if !r.Resolved || r.Index == 0 || r.File != nil || r.Resolvconf != "" {
		t.Fatalf("%+v", r)
	}
	for what, want := range map[string]string{"dns": "10.64.0.1", "domain": "~.", "default-route": "yes"} {
		if got := strings.TrimSpace(run(t, "resolvectl", what, "mh0")); !strings.HasSuffix(got, "(mh0): "+want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	ask(t, "up.example.", h.mh0, h.eth0)
	h.intact(r, true)
	if u, err := h.Upstream(t.Context(), "mh0"); err != nil || join(u.Servers, " ") != "192.0.2.53" {
		t.Errorf("while up: upstream %v, %v", u, err)
	}

	// A reload: only the names of some domains now.
	r = h.up(Settings{Link: "mh0", Servers: addrs("10.64.0.1", "fd00::1"), Search: []string{"corp.example"}})
	ask(t, "host.corp.example.", h.mh0, h.eth0)
	ask(t, "other.example.", h.eth0, h.mh0)
	h.intact(r, true)

	h.down(r)
	ask(t, "down.example.", h.eth0, h.mh0)
	if diff := cmp.Diff(before, h.status()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	h.intact(r, false)
}

// Somebody takes the settings away, and resolved is started again.
func TestResolvedChanged(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	r := h.up(settings("mh0", "10.64.0.1"))
	for what, args := range map[string][]string{
		"reverted":       {"revert", "mh0"},
		"other servers":  {"dns", "mh0", "198.51.100.53"},
		"other domains":  {"domain", "mh0", "example.com"},
		"not by default": {"default-route", "mh0", "no"},
	} {
		run(t, "resolvectl", args...)
		next := h.intact(r, false)
		if _, err := h.Apply(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		h.intact(r, true)
		if t.Failed() {
			t.Fatal(what)
		}
	}

	h.stop()
	if next := h.intact(r, false); next.File == nil {
		t.Errorf("without resolved nobody answers at its stub: %+v", next)
	}
	h.startResolved() // it keeps the settings of links in /run
	h.intact(r, true)
	h.stop()
	if err := os.RemoveAll("/run/systemd/resolve/netif"); err != nil {
		t.Fatal(err)
	}
	h.startResolved()
	next := h.intact(r, false)
	if _, err := h.Apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	h.intact(r, true)
}

// A process that was killed leaves the TUN's settings to resolved, which
// forgets them with the TUN, whatever has its name and index afterwards.
func TestResolvedCrash(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	r := h.up(settings("mh0", "10.64.0.1"))
	h.mh0.close()
	wait(t, "mh0 is gone", func() bool { return h.indexOf("mh0") == 0 })
	h.down(r)
	h.mh0 = newWire(t, "mh0", "10.64.0.2/24") // somebody else's
	wait(t, "resolved sees it", func() bool { return strings.Contains(run(t, "resolvectl", "status"), "(mh0)") })
	run(t, "resolvectl", "dns", "mh0", "10.0.0.53")
	before := h.status()
	h.down(r)
	if diff := cmp.Diff(before, h.status()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r = h.up(settings("mh0", "10.64.0.1"))
	h.stop()
	h.down(r) // resolved has gone first
}

// Programs that do not ask resolved's stub are served too: resolv.conf lists
// resolved's own servers, or is a file of a DHCP client.
func TestResolvedPastStub(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	for name, change := range map[string]func(){
		"resolved's list": func() { h.symlink("/run/systemd/resolve/resolv.conf", resolvConf) },
		"a file": func() {
			_ = os.Remove(resolvConf)
			h.write(resolvConf, "nameserver 192.0.2.53\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			change()
			// Resolved takes notice of a file when it is asked next: the rest is the same.
			status := func() string { return run(t, "resolvectl", "status", "mh0") + tree(t, resolvConf) }
			before := status()
			if u, err := h.Upstream(t.Context(), ""); err != nil || join(u.Servers, " ") != "192.0.2.53" {
				t.Errorf("upstream %v, %v", u, err)
			}
			r := h.up(settings("mh0", "10.64.0.1"))
			if !r.Resolved || r.File == nil {
				t.Fatalf("%+v", r)
			}
			h.intact(r, true)
			ask(t, strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")+".example.", h.mh0, h.eth0)
			if u, err := h.Upstream(t.Context(), "mh0"); err != nil || join(u.Servers, " ") != "192.0.2.53" {
				t.Errorf("while up: upstream %v, %v", u, err)
			}
			h.down(r)
			if diff := cmp.Diff(before, status()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}

	t.Run("while up", func(t *testing.T) {
		h.t = t
		h.symlink("../run/systemd/resolve/stub-resolv.conf", resolvConf)
		r := h.up(settings("mh0", "10.64.0.1"))
		_ = os.Remove(resolvConf)
		h.write(resolvConf, "nameserver 192.0.2.53\n")
		h.down(r) // a file that is not ours is none of our business
		r = h.up(settings("mh0", "10.64.0.1"))
		if r.File == nil {
			t.Errorf("%+v", r)
		}
		h.symlink("../run/systemd/resolve/stub-resolv.conf", resolvConf)
		before := h.status()
		r = h.intact(r, false)
		if _, err := h.Apply(t.Context(), r); err != nil || r.File != nil {
			t.Fatalf("%v, %+v", err, r)
		}
		h.intact(r, true)
		ask(t, "stub-again.example.", h.mh0, h.eth0)
		if diff := cmp.Diff(before, h.status()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		h.down(r)
	})
}

// A TUN that networkd looks after is changed there.
func TestNetworkd(t *testing.T) {
	if !insideResolved(t) {
		return
	}
	h := newResolvedHost(t)
	told := networkd(t)
	wait(t, "resolved knows", func() bool {
		// It takes notice of a file that is moved there, as networkd does.
		h.write("/run/systemd/netif/new", "ADMIN_STATE=configured\nOPER_STATE=routable\n")
		if err := os.Rename("/run/systemd/netif/new", fmt.Sprintf("/run/systemd/netif/links/%d", h.indexOf("mh0"))); err != nil {
			t.Fatal(err)
		}
		return exec.Command("busctl", "call", resolve1, resolve1Path, resolve1Manager, "RevertLink", "i", fmt.Sprint(h.indexOf("mh0"))).Run() != nil
	})
	r := h.up(settings("mh0", "10.64.0.1"))
	h.down(r)
	want := []string{"SetLinkDNS", "SetLinkDomains", "SetLinkDefaultRoute", "RevertLinkDNS", "RevertLinkDNS"}
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("networkd was told %v, want %v", got, want)
	}
}

// networkd takes networkd's name on the bus, and notes which methods are called.
func networkd(t *testing.T) (told func() []string) {
	t.Helper()
	b, err := new(System).dialBus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	var mu sync.Mutex
	var methods []string
	note := func(name string) *dbus.Error {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, name)
		return nil
	}
	err = b.conn.ExportMethodTable(map[string]any{
		"SetLinkDNS":          func(int32, []server) *dbus.Error { return note("SetLinkDNS") },
		"SetLinkDomains":      func(int32, []domain) *dbus.Error { return note("SetLinkDomains") },
		"SetLinkDefaultRoute": func(int32, bool) *dbus.Error { return note("SetLinkDefaultRoute") },
		"RevertLinkDNS":       func(int32) *dbus.Error { return note("RevertLinkDNS") },
	}, network1Path, network1Manager)
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := b.conn.RequestName(network1, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(methods)
	}
}
