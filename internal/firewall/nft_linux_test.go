package firewall

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/internal/netlab"
)

// run has nft take a script in, as one transaction.
func run(t *testing.T, h *netlab.Host, nft, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.nft")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Run(context.Background(), nft, "-f", path); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// list is what "nft list" says.
func list(t *testing.T, h *netlab.Host, nft string, what ...string) string {
	t.Helper()
	out, err := h.Run(context.Background(), nft, append([]string{"list"}, what...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// positive reports whether a counter that nft lists has seen a packet.
func positive(counter string) bool {
	return strings.Contains(counter, "packets ") && !strings.Contains(counter, "packets 0 ")
}

// TestLines compares the table that Apply makes with the one that nft makes of
// Lines: the same words in nft's own list, and the same to Present.
func TestLines(t *testing.T) {
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	f := open(t, w.client)
	f.plain = true // Lines have no flags
	full := w.config()
	full.TUNs = []string{"mh1", "star*"}
	none := Config{Table: full.Table, TUN: full.TUN}
	unkilled := full
	unkilled.KillSwitch = false
	for i, c := range []Config{full, none, unkilled} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			apply(t, f, c)
			ours := list(t, w.client, nft, "table", "inet", c.Table)
			if ok, err := f.Present(c); !ok || err != nil {
				t.Errorf("Present after Apply: %v, %v", ok, err)
			}
			script := strings.Join(Lines(c), "\n")
			run(t, w.client, nft, script)
			run(t, w.client, nft, script) // replaces itself
			if theirs := list(t, w.client, nft, "table", "inet", c.Table); theirs != ours {
				t.Errorf("Lines make\n%s\nApply makes\n%s", theirs, ours)
			}
			apply(t, f, c)
			if again := list(t, w.client, nft, "table", "inet", c.Table); again != ours {
				t.Errorf("Apply over Lines makes\n%s\nApply makes\n%s", again, ours)
			}
		})
	}
}

// TestLinesGolden compares with a table that people have read.
func TestLinesGolden(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "killswitch.nft"))
	if err != nil {
		t.Fatal(err)
	}
	c := (&world{}).config()
	c.TUNs = []string{"mh1"}
	if got := strings.Join(Lines(c), "\n") + "\n"; got != string(want) {
		t.Errorf("Lines:\n%s", cmp.Diff(string(want), got))
	}
}
