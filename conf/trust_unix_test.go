//go:build unix

package conf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckOwned takes the test's own user for root: a test that is not root can
// give no file away.
func TestCheckOwned(t *testing.T) {
	me := uint32(os.Getuid())
	for _, tt := range []struct {
		name         string
		folder, file os.FileMode
		uid          uint32
		want         string // FILE and FOLDER stand for the paths
	}{
		{"private", 0o700, 0o600, me, ""},
		{"readable", 0o755, 0o644, me, ""},
		{"writable file", 0o755, 0o664, me, "FILE: hooks do not run, for group or others may write to FILE (mode 0664): run chmod go-w FILE"},
		{"file that others write", 0o755, 0o646, me, "FILE: hooks do not run, for group or others may write to FILE (mode 0646): run chmod go-w FILE"},
		{"writable folder", 0o775, 0o600, me, "FILE: hooks do not run, for group or others may write to FOLDER (mode 0775): run chmod go-w FOLDER"},
		{"folder that others write", 0o777, 0o600, me, "FILE: hooks do not run, for group or others may write to FOLDER (mode 0777): run chmod go-w FOLDER"},
		{"another's", 0o700, 0o600, me + 1, "FILE: hooks do not run, for FILE belongs to uid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "p.conf")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(path, tt.file), os.Chmod(dir, tt.folder)); err != nil { // past the umask
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(t.TempDir(), "link.conf")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, link} {
				got := ""
				if err := checkOwned(p, info, tt.uid); err != nil {
					got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), p, "FILE"), dir, "FOLDER")
				}
				if got != tt.want && (tt.uid == me || !strings.HasPrefix(got, tt.want)) {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
	if err := checkOwned("p.conf", nil, me); err == nil {
		t.Error("no file was accepted")
	}
}

// TestCheckOwnedWay looks at every folder and link on the way to a file.
func TestCheckOwnedWay(t *testing.T) {
	me := uint32(os.Getuid())
	for _, tt := range []struct {
		name string
		open string // what everybody may write to, of the folders below; "": nothing
		path string
		want bool
	}{
		{"all private", "", "a/b/p.conf", true},
		{"its folder", "a/b", "a/b/p.conf", false},
		{"the one above", "a", "a/b/p.conf", false},
		{"beside it", "c", "a/b/p.conf", true},
		{"by a link", "", "c/link.conf", true},
		{"the link's folder", "c", "c/link.conf", false},
		{"above what it leads to", "a", "c/link.conf", false},
		{"by a link in between", "d", "c/second.conf", false},
		{"by a folder that is a link", "", "e/p.conf", true},
		{"above what that leads to", "a", "e/p.conf", false},
		{"a link to itself", "", "c/loop.conf", false},
		{"above a folder that is a link", "", "e/../b/p.conf", true},
		{"above that one", "a", "e/../b/p.conf", false},
		{"by a link above a folder that is a link", "", "c/up.conf", true},
		{"above what that one leads to", "a/b", "c/up.conf", false},
		{"points and slashes", "", "./a//b/../b/./p.conf", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var err error
			for _, d := range []string{"a", "a/b", "c", "d"} {
				err = errors.Join(err, os.Mkdir(filepath.Join(dir, d), 0o755))
			}
			file := filepath.Join(dir, "a/b/p.conf")
			err = errors.Join(err,
				os.WriteFile(file, nil, 0o600),
				os.Symlink("../a/b/p.conf", filepath.Join(dir, "c/link.conf")),
				os.Symlink("../d/first.conf", filepath.Join(dir, "c/second.conf")),
				os.Symlink(file, filepath.Join(dir, "d/first.conf")),
				os.Symlink("a/b", filepath.Join(dir, "e")),
				os.Symlink("loop.conf", filepath.Join(dir, "c/loop.conf")),
				os.Symlink("../e/../b/p.conf", filepath.Join(dir, "c/up.conf")),
			)
			if tt.open != "" {
				err = errors.Join(err, os.Chmod(filepath.Join(dir, tt.open), 0o777))
			}
			info, statErr := os.Stat(file)
			if err = errors.Join(err, statErr); err != nil {
				t.Fatal(err)
			}
			if err := checkOwned(dir+"/"+tt.path, info, me); (err == nil) != tt.want {
				t.Errorf("trusted %v, want %v: %v", err == nil, tt.want, err)
			}
		})
	}
}

// TestCheckOwnedLink looks at the owners of the links on the way to a file: in a
// folder such as /tmp its owner may replace a link.
func TestCheckOwnedLink(t *testing.T) {
	needRoot(t, "only root gives links away")
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.Mkdir(filepath.Join(dir, "d"), 0o755)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "d/p.conf")
	err := os.WriteFile(file, nil, 0o600)
	info, statErr := os.Stat(file)
	if err = errors.Join(err, statErr); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	for _, tt := range []struct {
		name      string
		link, uid uint32 // the link's owner; who is trusted beside root
		want      string
	}{
		{"root's", 0, 0, ""},
		{"another's", 65534, 0, "hooks do not run, for the link " + link + " belongs to uid 65534: run chown -h 0 " + link},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(link)
			if err := errors.Join(os.Symlink("d", link), os.Lchown(link, int(tt.link), -1)); err != nil {
				t.Fatal(err)
			}
			err := checkOwned(link+"/p.conf", info, tt.uid)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// needRoot skips a test that is not root's; in CI it fails.
func needRoot(t *testing.T, why string) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs root: %s", why)
	default:
		t.Skipf("needs root: %s", why)
	}
}

// TestHooks: a profile's own run if it is root's, a file's only if asked for.
func TestHooks(t *testing.T) {
	needRoot(t, "only root's files may have hooks")
	files := map[string]string{
		"a.conf": wg("a", "10.0.0.0/8", "PostUp = of a # 1"),
		"b.conf": wg("b", "172.16.0.0/12", "PostUp = of b"),
	}
	const hops = "[Hop]\nConfig = a.conf\n[Hop]\nConfig = b.conf\n"
	for _, tt := range []struct {
		name, text string
		flag       string
		fileHooks  bool
		want, warn string // the PostUp commands; warnings
	}{
		{"the profile's", "[Interface]\nPostUp = own\n" + hops, "", false, "own",
			"a.conf:3: PostUp: not run: hooks of hop files run only with --hooks; b.conf:3: PostUp: not run: hooks of hop files run only with --hooks"},
		{"the first file's", hops, "", true, "of a # 1", "b.conf:3: PostUp: not run: only those of the first file on the host's network are"},
		{"the profile's before the file's", "[Interface]\nPostUp = own\n" + hops, "", true, "own",
			"a.conf:3: PostUp: not run: others were given; b.conf:3: PostUp: not run: only those of the first file on the host's network are"},
		{"the flag's", hops, "flag", true, "flag",
			"a.conf:3: PostUp: not run: others were given; b.conf:3: PostUp: not run: only those of the first file on the host's network are"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &Overrides{FileHooks: tt.fileHooks}
			if tt.flag != "" {
				if err := o.Settings.Set("--post-up", tt.flag); err != nil {
					t.Fatal(err)
				}
			}
			c, err := loadText(t, tt.text, files, o)
			if err != nil {
				t.Fatal(err)
			}
			var commands, warnings []string
			for _, h := range c.Settings.PostUp {
				commands = append(commands, h.Command)
			}
			for _, w := range c.Warnings {
				if w.Key == "PostUp" {
					warnings = append(warnings, strings.TrimPrefix(w.String(), filepath.Dir(c.Files[0])+"/"))
				}
			}
			if got := strings.Join(commands, "; "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := strings.Join(warnings, "; "); got != tt.warn {
				t.Errorf("warnings:\n got %s\nwant %s", got, tt.warn)
			}
		})
	}
}

// TestHooksRefused: hooks in files that others may write.
func TestHooksRefused(t *testing.T) {
	for _, tt := range []struct {
		name, text, loose string
		want              string
	}{
		{"a loose profile", "[Interface]\nPostUp = a\n[Hop]\nConfig = a.conf\n", "p.conf",
			"p.conf: group or others may write to it (mode 0666), and so change where traffic goes: run chmod go-w "},
		{"a loose folder", "[Interface]\nPostUp = a\n[Hop]\nConfig = a.conf\n", ".",
			"p.conf: hooks do not run, for group or others may write to "},
		{"a loose folder of a file", "[Hop]\nConfig = sub/b.conf\n", "sub", "sub/b.conf: hooks do not run, for group or others may write to "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.loose != "p.conf" {
				needRoot(t, "nobody else's files may have hooks anyway")
			}
			dir := folder(t, map[string]string{
				"p.conf": tt.text, "a.conf": wg("a", "10.0.0.0/8"), "sub/b.conf": wg("b", "10.0.0.0/8", "PostUp = b"),
			})
			mode := os.FileMode(0o777)
			if tt.loose == "p.conf" {
				mode = 0o666
			}
			if err := os.Chmod(filepath.Join(dir, tt.loose), mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadProfile(filepath.Join(dir, "p.conf"), &Overrides{FileHooks: true})
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(strings.TrimPrefix(err.Error(), dir+"/"), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestProfileMode: a profile may be read by others unless it has keys.
func TestProfileMode(t *testing.T) {
	const inline = "[Hop]\nName = a\nPrivateKey = " + testPrivate + "\n" + testPeer
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"readable", "[Hop]\nConfig = a.conf\n", 0o644, ""},
		{"private with keys", inline, 0o600, ""},
		{"readable with keys", inline, 0o644, "has a private key, but group or others may access it (mode 0644): run chmod 600 "},
		{"writable", "[Hop]\nConfig = a.conf\n", 0o664, "group or others may write to it (mode 0664), and so change where traffic goes: run chmod go-w "},
		{"writable prefixes", "[Hop]\nConfig = a.conf\nRoutes = @nets\n", 0o644, "group or others may write to it (mode 0606), and so change where traffic goes: run chmod go-w "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"p.conf": tt.text, "a.conf": wg("a", "10.0.0.0/8"), "nets": "10.0.0.0/8\n"})
			path := filepath.Join(dir, "p.conf")
			if err := errors.Join(os.Chmod(path, tt.mode), os.Chmod(filepath.Join(dir, "nets"), 0o606)); err != nil {
				t.Fatal(err)
			}
			_, err := LoadProfile(path, nil)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), ": "+tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
