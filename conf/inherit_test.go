package conf

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInherit: what files say of the host, and what is ignored of it.
func TestInherit(t *testing.T) {
	type want struct {
		Table  string
		FwMark uint32
		Warn   []string
	}
	for _, tt := range []struct {
		name        string
		root, other string // [Interface] lines of two hops on the host's network
		inner       string // of a hop inside the first
		said        []string
		want        want
	}{
		{name: "nothing"},
		{name: "the first", root: "Table = 7\nFwMark = 0x10", want: want{Table: "7", FwMark: 16}},
		{name: "the only one that says", other: "Table = off\nFwMark = 16", want: want{Table: "off", FwMark: 16}},
		{name: "both the same", root: "FwMark = 0x10\nTable = 0x7", other: "FwMark = 16\nTable = 7", want: want{Table: "7", FwMark: 16}},
		{name: "auto is no word", root: "Table = auto", other: "Table = 7", want: want{Table: "7"}},
		{name: "a carried one", inner: "Table = 9\nFwMark = 9", want: want{Warn: []string{
			"inner.conf:3: Table: ignored: only that of a hop on the host's network counts, and root carries this one",
			"inner.conf:4: FwMark: ignored: only that of a hop on the host's network counts, and root carries this one",
		}}},
		{name: "flags", root: "Table = 7\nFwMark = 7", other: "Table = 8\nFwMark = 8", said: []string{"--table", "8", "--fwmark", "7"}, want: want{Table: "8", FwMark: 7, Warn: []string{
			"root.conf:3: Table: ignored: 8 was given instead",
			"other.conf:4: FwMark: ignored: 0x7 was given instead",
		}}},
		{name: "hooks", root: "PreUp = a\nPostUp = a\nPostUp = b", other: "PreDown = a", inner: "PostDown = a", want: want{Warn: []string{
			"root.conf:3: PreUp: not run: hooks of hop files run only with --hooks",
			"root.conf:4: PostUp: not run: hooks of hop files run only with --hooks",
			"inner.conf:3: PostDown: not run: hooks of hop files run only with --hooks",
			"other.conf:3: PreDown: not run: hooks of hop files run only with --hooks",
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := new(Overrides)
			for i := 0; i < len(tt.said); i += 2 {
				if err := o.Settings.Set(tt.said[i], tt.said[i+1]); err != nil {
					t.Fatal(err)
				}
			}
			c, err := loadText(t, "[Hop]\nConfig = root.conf\n[Hop]\nConfig = inner.conf\nVia = root\n[Hop]\nConfig = other.conf\n", map[string]string{
				"root.conf":  wg("root", "10.0.0.0/8", tt.root),
				"other.conf": wg("other", "172.16.0.0/12", tt.other),
				"inner.conf": wg("inner", "10.9.0.0/16", tt.inner),
			}, o)
			if err != nil {
				t.Fatal(err)
			}
			got := want{Table: c.Settings.Table, FwMark: c.Settings.FwMark}
			for _, w := range c.Warnings {
				if w.Key != "DNS" {
					got.Warn = append(got.Warn, strings.TrimPrefix(w.String(), filepath.Dir(c.Files[0])+"/"))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Settings.hasHooks() {
				t.Error("hooks were taken")
			}
		})
	}
}

// TestInstance: what concerns the router of the settings is in the Config.
func TestInstance(t *testing.T) {
	text := "[Interface]\nAddress = 10.1.1.1/24\nMTU = 1400\nKillSwitch = no\nLAN = deny\nIPv6 = direct\nExclude = 192.0.2.0/24\nNetns = work\n" +
		"[Hop]\nName = a\nConfig = a.conf\n[Hop]\nName = b\nVia = a\nConfig = b.conf\nMTU = 1300\n"
	c, err := loadText(t, text, map[string]string{
		"a.conf": wg("a", "10.0.0.0/8", "MTU = 1420"),
		"b.conf": wg("b", "0.0.0.0/0", "MTU = 1412"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := c.Config.Hops[0].MTU, c.Config.Hops[1].MTU; a != 1400 || b != 1300 {
		t.Errorf("MTU %d, %d", a, b)
	}
	if diff := cmp.Diff(addrs("10.1.1.1"), c.Config.Addrs, equate()); diff != "" {
		t.Errorf("Addrs (-want +got):\n%s", diff)
	}
	want := Settings{Addrs: addrs("10.1.1.1"), MTU: 1400, KillSwitch: No, LAN: No, IPv6Direct: true, Exclude: prefixes("192.0.2.0/24"), Netns: "work"}
	if diff := cmp.Diff(want, c.Settings, equate()); diff != "" {
		t.Errorf("Settings (-want +got):\n%s", diff)
	}
	var files []string
	for _, f := range c.Files {
		files = append(files, filepath.Base(f))
	}
	if diff := cmp.Diff([]string{"p.conf", "a.conf", "b.conf"}, files); diff != "" || c.Name != "p" {
		t.Errorf("%s, files (-want +got):\n%s", c.Name, diff)
	}
}

// TestAllErrors: one error, or every line that has one.
func TestAllErrors(t *testing.T) {
	files := map[string]string{"a.conf": "[Interface]\nMTU = x\nListenPort = y\n", "b.conf": "[Interface]\nMTU = z\n"}
	dir := folder(t, files)
	chain := []string{filepath.Join(dir, "a.conf"), filepath.Join(dir, "b.conf")}
	text := "[Hop]\nConfig = a.conf\n[Hop]\nConfig = b.conf\n"
	for _, tt := range []struct {
		all  bool
		want int
	}{{false, 1}, {true, 3}} {
		o := &Overrides{AllErrors: tt.all}
		_, profileErr := loadText(t, text, files, o)
		_, chainErr := LoadChain(chain, o)
		for _, err := range []error{profileErr, chainErr} {
			if err == nil || strings.Count(err.Error(), "\n")+1 != tt.want {
				t.Errorf("want %d errors, got %v", tt.want, err)
			}
		}
	}
}

// TestLoadChain: the hops are Chain's.
func TestLoadChain(t *testing.T) {
	dir := folder(t, office())
	paths := []string{filepath.Join(dir, "se-got.conf"), filepath.Join(dir, "us-nyc.conf")}
	c, err := LoadChain(paths, &Overrides{Fragment: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"se-got", "us-nyc via se-got, fragments", "us-nyc=0.0.0.0/0",
		"left out 0.0.0.0/0 of se-got: us-nyc, further in, has it too",
		"left out ::/0 of se-got: us-nyc, further in, has the default of IPv4, so no hop outside it gets routes",
	}
	if diff := cmp.Diff(want, outline(c)); diff != "" || c.Name != "" {
		t.Errorf("%s (-want +got):\n%s", c.Name, diff)
	}
	if diff := cmp.Diff(paths, c.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := LoadChain(nil, nil); err == nil || err.Error() != "no files: a chain needs at least one" {
		t.Errorf("no files: %v", err)
	}
}
