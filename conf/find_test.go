package conf

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	const profile = "# [Peer]\n [ HOP ] # a\nConfig = a.conf\n"
	dir := folder(t, map[string]string{
		"office.conf": profile, "us-nyc.conf": testMinimal + "#[Hop]\n", "sub/home.conf": profile,
		"binary.conf": "[Hop]\x00", "plain": profile,
	})
	here := folder(t, map[string]string{"exit": testMinimal, "here.conf": profile})
	t.Chdir(here)
	for _, tt := range []struct {
		arg     string
		path    string
		profile bool
		err     string // DIR stands for the profiles' folder
	}{
		{arg: "office", path: "DIR/office.conf", profile: true},
		{arg: "us-nyc", path: "DIR/us-nyc.conf"},
		{arg: "here.conf", path: "here.conf", profile: true},
		{arg: "./exit", path: "./exit"},
		{arg: filepath.Join(dir, "plain"), path: "DIR/plain", profile: true},
		{arg: filepath.Join(dir, "office.CONF"), err: "DIR/office.CONF: no such file or directory"},
		{arg: dir + "/", err: "DIR/: a directory: give the path of a wg-quick file or a profile"},
		{arg: "offce", err: "no profile is named offce: there is no DIR/offce.conf (did you mean office?)"},
		{arg: "unrelated", err: "no profile is named unrelated: there is no DIR/unrelated.conf"},
		{arg: "exit", err: "no profile is named exit: there is no DIR/exit.conf (for the file here: ./exit)"},
		{arg: "plain", err: "no profile is named plain: there is no DIR/plain.conf"},
		{arg: "binary", err: "DIR/binary.conf: not a text file: it has bytes of zero"},
		{arg: "", err: "no file and no profile: the name is empty"},
		{arg: "..", err: `".." is no profile's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, or a path that ends in .conf`},
		{arg: "a b", err: `"a b" is no profile's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, or a path that ends in .conf`},
		{arg: strings.Repeat("x", 65), err: `"` + strings.Repeat("x", 65) + `" is no profile's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, or a path that ends in .conf`},
	} {
		path, profile, err := find(dir, tt.arg)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if want := strings.ReplaceAll(tt.path, "DIR", dir); path != want || profile != tt.profile || got != tt.err {
			t.Errorf("%q: got %q, %t, %s\nwant %q, %t, %s", tt.arg, path, profile, got, want, tt.profile, tt.err)
		}
	}
}
