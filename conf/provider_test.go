package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// TestProviderFiles parses files as the generators of large providers write
// them, with invented keys and addresses. UPDATE_GOLDEN=1 writes what is
// expected anew.
func TestProviderFiles(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := describe(parseFile(t, path))
			golden := strings.TrimSuffix(path, ".conf") + ".golden"
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestProviderChains chains every file with every other: whatever they contain,
// the outer one gives no route beside a default.
func TestProviderChains(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, outer := range paths {
		for _, inner := range paths {
			entry, exit := parseFile(t, outer), parseFile(t, inner)
			c, err := Chain([]*File{entry, exit}, nil)
			if err != nil {
				t.Errorf("%s inside %s: %v", inner, outer, err)
				continue
			}
			for _, r := range c.Config.Routes {
				if exit.Name != "company" && r.Hop == c.Config.Hops[0].Name {
					t.Errorf("%s inside %s: %s leaves at the entry", inner, outer, r.Prefix)
				}
			}
			n := len(allowedIPs(c.Config.Hops[0])) + len(allowedIPs(c.Config.Hops[1]))
			if got := len(c.Config.Routes) + len(c.LeftOut); got != n {
				t.Errorf("%s inside %s: routes and left out are %d of %d prefixes", inner, outer, got, n)
			}
		}
	}
}

// TestProviderChainsCompile: the files work as they are, alone and as chains.
func TestProviderChainsCompile(t *testing.T) {
	for _, names := range [][]string{
		{"mullvad"}, {"mullvad-killswitch"}, {"proton"}, {"ivpn"}, {"windscribe"}, {"azirevpn"},
		{"everything-but-private"}, {"halves"}, {"company"}, {"windows"},
		{"mullvad", "proton"},
		{"proton", "mullvad"},
		{"mullvad", "mullvad-killswitch"},
		{"halves", "ivpn"},
		{"azirevpn", "halves"},
		{"everything-but-private", "windscribe"},
		{"mullvad", "everything-but-private"},
		{"proton", "company"},
		{"mullvad", "azirevpn", "company"},
		{"windscribe", "ivpn", "proton"},
	} {
		var files []*File
		for _, name := range names {
			files = append(files, parseFile(t, "testdata/"+name+".conf"))
		}
		c, err := Chain(files, nil)
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		plan, err := router.Compile(c.Config)
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		for _, r := range plan.Routes {
			if len(files) > 1 && names[len(names)-1] != "company" && len(r.Path) != len(files) {
				t.Errorf("%v: %s takes %v, want all hops", names, r.Prefix, r.Path)
			}
		}
	}
}

func parseFile(t *testing.T, path string) *File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	f, err := Parse(path, r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// describe returns everything in f but the keys, one line a value.
func describe(f *File) string {
	var b strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&b, "%s: %v\n", name, v) }
	in := f.Interface
	line("name", f.Name)
	for _, a := range in.Addresses {
		line("address", fmt.Sprintf("%s, line %d", a.Prefix, a.Line))
	}
	line("dns", in.DNS)
	line("search", in.Search)
	line("mtu", in.MTU)
	line("port", in.ListenPort)
	line("table", in.Table)
	line("fwmark", in.FwMark)
	line("save", in.SaveConfig)
	for _, hooks := range [][]Hook{in.PreUp, in.PostUp, in.PreDown, in.PostDown} {
		for _, h := range hooks {
			line("hook", fmt.Sprintf("line %d: %s", h.Line, h.Command))
		}
	}
	for _, p := range f.Peers {
		line("peer", fmt.Sprintf("line %d, preshared %t", p.Line, !p.PresharedKey.IsZero()))
		line("  endpoint", p.Endpoint)
		line("  allowed", p.AllowedIPs)
		line("  keepalive", p.Keepalive)
	}
	for _, w := range f.Warnings {
		line("warning", w)
	}
	return b.String()
}
