package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"multihop/router"
)

// TestReadProfile: a profile that is no file is read as one is, with files by
// absolute path; what is wrong is said with its line, and without a key.
func TestReadProfile(t *testing.T) {
	dir := t.TempDir()
	key, pub := router.NewPrivateKey().Encode(), router.NewPrivateKey().Public().Encode()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	peer := "[Peer]\nPublicKey = " + pub + "\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0\n"
	wg := "[Interface]\nPrivateKey = " + key + "\nAddress = 10.64.0.2\nPostUp = true\n" + peer
	exit, spaced := write("us-nyc.conf", wg), write("se got.conf", wg)
	broken := write("broken.conf", "[Interface]\nMTU = x\n")
	list := write("list.txt", "198.51.100.0/24\n203.0.113.0/24\n")
	inline := "[Hop]\nName = entry\nPrivateKey = " + key + "\nAddress = 10.64.0.2\n" + peer
	for _, tt := range []struct {
		name, text string
		err        string // "": it is read
		hops       string
		files      int
	}{
		{"inline", inline, "", "entry", 0},
		{"a file", "[Hop]\nConfig = " + exit + " # a comment\n", "", "us-nyc", 1},
		{"both, and prefixes", inline + "\n[ hop ]\nVIA=entry\nconfig=" + exit + "\nRoutes = 10.0.0.0/8, @" + list + "\n", "", "entry us-nyc", 2},
		{"a group", "[Hop]\nName = g\nConfig = " + exit + "," + spaced + "\n", "", "us-nyc se-got", 2},
		{"the same file twice", "[Hop]\nName = a\nConfig = " + exit + "\n[Hop]\nName = b\nVia = a\nConfig = " + exit + "\n", "", "a b", 1},
		{"a relative path", "[Hop]\n\nConfig = us-nyc.conf\n", "profile:3: Config: \"us-nyc.conf\": want an absolute path: this profile is in no folder", "", 0},
		{"no such file", "[Hop]\nConfig = " + dir + "/missing.conf\n", dir + "/missing.conf: no such file", "", 0},
		{"a folder", "[Hop]\nConfig = " + dir + "\n", dir + ": a directory", "", 0},
		{"a key for a file", "[Hop]\nConfig = /" + key + "\n", "profile:2: Config: not a file", "", 0},
		{"prefixes by a relative path", "[Hop]\nConfig = " + exit + "\nRoutes = 10.0.0.0/8, @list.txt\n", "profile:3: Routes: \"list.txt\": want an absolute path", "", 0},
		{"a file that is wrong", "[Hop]\nConfig = " + broken + "\n", broken + `:2: MTU: "x" is not a number from 0 to 65535`, "", 0},
		{"a line that is wrong", inline + "[Hop]\nVia = entry\nConfig = " + exit + "\nColour = red\n", "profile:12: Colour: ", "", 0},
		{"no hop", "[Interface]\n", "profile: [Hop]: missing", "", 0},
		{"nothing", "", "profile: [Hop]: missing", "", 0},
		{"a hook", "[Interface]\nPostUp = touch /tmp/x\n" + inline, "profile:2: PostUp: hooks are for files", "", 0},
		{"another hook", "[Interface]\nPreDown = touch /tmp/x\n" + inline, "profile:2: PreDown: hooks are for files", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ReadProfile("profile", strings.NewReader(tt.text), &Overrides{FileHooks: true})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				if err != nil && strings.Contains(err.Error(), key) {
					t.Errorf("it says what it must not: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, h := range c.Config.Hops {
				names = append(names, h.Name)
			}
			if got := strings.Join(names, " "); got != tt.hops || len(c.Files) != tt.files {
				t.Errorf("hops %s, files %q", got, c.Files)
			}
			if len(c.Settings.PostUp) != 0 {
				t.Error("a hook of a file would run")
			}
		})
	}
}
