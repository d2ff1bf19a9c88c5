package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// wayOut returns the interface by which a program's packet to dst leaves; "":
// none.
func wayOut(t *testing.T, dst string, mark uint32) string {
	t.Helper()
	h, err := netlink.NewHandle()
	must(t, err)
	defer h.Close()
	p, err := routeTo(h, netip.MustParseAddr(dst), mark)
	if err != nil {
		return ""
	}
	return p.Interface
}

func wantWayOut(t *testing.T, dst string, mark uint32, want string) {
	t.Helper()
	if got := wayOut(t, dst, mark); got != want {
		t.Errorf("way to %s with mark %#x: %q, want %q", dst, mark, got, want)
	}
}

// After a crash nothing leaves, also of what no kill switch guards; Clean brings
// back what was before, and so does the Close of who took over.
func TestCrash(t *testing.T) {
	tests := []struct {
		name   string
		config func() Config
		dsts   []string
	}{
		{"everything", faultyConfig, []string{"9.9.9.9", "10.20.1.1", "2620:fe::fe"}},
		{"everything without a kill switch", func() Config {
			c := faultyConfig()
			c.KillSwitch = Off
			return c
		}, []string{"9.9.9.9", "10.20.1.1", "2620:fe::fe"}},
		{"some prefixes", splitConfig, []string{"10.20.1.1", "2001:db8:20::1", "10.30.1.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			first := openHost(t, t.TempDir())
			must(t, netlink.LinkDel(link(t, "mh0")))
			before := toldAll(t, first)
			for _, dst := range tt.dsts {
				wantWayOut(t, dst, 0, "eth0") // what must not be afterwards
			}
			for _, adopt := range []bool{false, true} {
				addTUN(t, "mh0")
				h := openHost(t, first.k.dir)
				h.k.dns = first.k.dns
				apply(t, h, tt.config())
				orphans, err := Orphans(first.k.dir)
				if len(orphans) > 0 || err != nil {
					t.Errorf("orphans before: %q, %v", orphans, err)
				}
				die(t, h)
				orphans, err = Orphans(first.k.dir)
				if !slices.Equal(orphans, []string{"mh0"}) || err != nil {
					t.Errorf("orphans: %q, %v", orphans, err)
				}
				for _, dst := range tt.dsts {
					wantWayOut(t, dst, 0, "")
				}
				next := openHost(t, first.k.dir)
				next.k.dns = first.k.dns
				if adopt {
					addTUN(t, "mh0")
					apply(t, next, tt.config())
					wantWayOut(t, tt.dsts[0], 0, "mh0")
					must(t, next.Close())
					must(t, netlink.LinkDel(link(t, "mh0")))
				} else {
					must(t, next.Close())
				}
				same(t, first, before)
			}
		})
	}
}

// Without a journal there is nothing to clean, and nothing is made.
func TestClean(t *testing.T) {
	newHost(t)
	dir := filepath.Join(t.TempDir(), "run")
	must(t, Clean("mh0", &Options{Dir: dir}))
	if _, err := os.Stat(dir); err == nil {
		t.Error("Clean made the directory")
	}
	h := openHost(t, dir)
	before := told(t)
	apply(t, h, splitConfig())
	must(t, h.Release())
	var lines []string
	must(t, Clean("mh0", &Options{Dir: dir, Trace: func(l string) { lines = append(lines, l) }}))
	sameState(t, before)
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "[#] ") {
		t.Errorf("lines: %q", lines)
	}
	must(t, Clean("mh0", &Options{Dir: dir}))
}

// A process that takes over with another configuration removes what is gone of
// the old one.
func TestAdoptOther(t *testing.T) {
	needTools(t)
	newHost(t)
	dir := t.TempDir()
	before := told(t)
	first := openHost(t, dir)
	apply(t, first, fullConfig())
	must(t, first.Release()) // the TUN stays, as if it were persistent
	second := openHost(t, dir)
	apply(t, second, splitConfig())
	is := told(t)
	for _, gone := range []string{"table 52820", "policy drop", "src_valid_mark=1"} {
		if strings.Contains(is, gone) {
			t.Errorf("left: %s", gone)
		}
	}
	must(t, second.Close())
	sameState(t, before)
}

// A journal is root's own.
func TestJournalRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(dir string) error
		want    string
	}{
		{"others may write", func(dir string) error { return os.Chmod(dir, 0o777) }, "chmod 700"},
		{"no JSON", func(dir string) error { return os.WriteFile(dir+"/mh0.json", []byte("{"), 0o600) }, "mh0.json"},
		{"another's", func(dir string) error { return os.WriteFile(dir+"/mh0.json", []byte(`{"Name":"mh1"}`), 0o600) }, `"mh1"`},
		{"unknown change", func(dir string) error {
			return os.WriteFile(dir+"/mh0.json", []byte(`{"Name":"mh0","Changes":[{}]}`), 0o600)
		}, "no known kind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, tt.prepare(dir))
			if _, err := New("mh0", &Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
	for _, name := range []string{"", "a/b", "..", "a b", "0123456789abcdef"} {
		if _, err := New(name, &Options{Dir: t.TempDir()}); err == nil {
			t.Errorf("New(%q) succeeds", name)
		}
	}
}
