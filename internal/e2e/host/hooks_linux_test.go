package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// TestHooks runs a profile's hooks in wg-quick's order, with the TUN's name, and
// none that somebody else could have written.
func TestHooks(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	a := host.EntryAddr().V4
	note := func(hook string) string {
		return hook + " = echo " + hook + " %i $(ip link show dev %i >/dev/null 2>&1 && echo there || echo gone) >> /etc/hooks.log\n"
	}
	all := note("PreUp") + note("PostUp") + note("PreDown") + note("PostDown")
	entry, exit := r.EntryFile(a, everything), r.ExitFile(a, everything)
	before := n.State(t)

	t.Run("order", func(t *testing.T) {
		i := n.Profile(t, host.File{Name: "hooks.conf", Text: "[Interface]\n" + all + hops}, entry, exit)
		i.Up(t)
		i.Down(t)
		// Before PreUp there may be a TUN already, and after PostDown none.
		got := n.Read("/etc/hooks.log")
		var names []string
		for line := range strings.Lines(got) {
			f := strings.Fields(line)
			names = append(names, f[0])
			if f[1] != "hooks" {
				t.Errorf("%%i is %q", f[1])
			}
			if (f[0] == "PostUp" || f[0] == "PreDown") && f[2] != "there" {
				t.Errorf("%s ran without the TUN", f[0])
			}
		}
		if want := "PreUp PostUp PreDown PostDown"; strings.Join(names, " ") != want {
			t.Errorf("ran %q, want %q", names, want)
		}
		n.Same(t, before, "after down")
	})

	t.Run("failure", func(t *testing.T) {
		for _, hook := range []string{"PreUp", "PostUp"} {
			i := n.Profile(t, host.File{Name: "failing.conf", Text: "[Interface]\n" + hook + " = exit 3\n" + hops}, entry, exit)
			if out, err := i.TryUp(); err == nil || !strings.Contains(out, hook) {
				t.Errorf("up with a %s that fails: %v\n%s", hook, err, out)
			}
			n.Same(t, before, "after "+hook+" failed")
		}
	})

	t.Run("writable by others", func(t *testing.T) {
		i := n.Profile(t, host.File{Name: "open.conf", Text: "[Interface]\nPostUp = touch /etc/pwned\n" + hops}, entry, exit)
		dir := filepath.Join(n.Host.Root(), "/etc/multihop")
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		out, err := i.TryUp()
		if err == nil {
			t.Error("up with hooks in a folder that everybody may write to")
			i.Down(t)
		}
		if n.Read("/etc/pwned") != "" || !strings.Contains(out, "chmod") {
			t.Errorf("want an error that says what to do, and no hook:\n%s", out)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		n.Same(t, before, "after the refusal")
	})

	t.Run("of an imported file", func(t *testing.T) {
		hooked := r.EntryFile(a, everything, "PostUp = echo imported > /etc/imported")
		i := n.Chain(t, "mh0", []host.File{hooked, exit})
		i.Up(t)
		i.Down(t)
		if n.Read("/etc/imported") != "" {
			t.Error("the hook of an imported file ran")
		}
		i = n.Chain(t, "mh0", []host.File{hooked, exit}, "--hooks")
		i.Up(t)
		i.Down(t)
		if n.Read("/etc/imported") == "" {
			t.Error("the hook of an imported file did not run, though asked to")
		}
		n.Same(t, before, "after down")
	})
}
