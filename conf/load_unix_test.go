//go:build unix

package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestLoadMode(t *testing.T) {
	for _, tt := range []struct {
		mode fs.FileMode
		want string // after the path; "": accepted
	}{
		{0o600, ""},
		{0o400, ""},
		{0o700, ""},
		{0o640, "has a private key, but group or others may access it (mode 0640): run chmod 600 "},
		{0o604, "has a private key, but group or others may access it (mode 0604): run chmod 600 "},
		{0o620, "has a private key, but group or others may access it (mode 0620): run chmod 600 "},
		{0o601, "has a private key, but group or others may access it (mode 0601): run chmod 600 "},
		{0o666, "has a private key, but group or others may access it (mode 0666): run chmod 600 "},
	} {
		path := filepath.Join(t.TempDir(), "exit.conf")
		if err := os.WriteFile(path, []byte(testMinimal), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil { // past the umask
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "link.conf")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			f, err := Load(p)
			if tt.want == "" {
				if err != nil || f.Path != p {
					t.Errorf("%v: got %v, %v", tt.mode, f, err)
				}
				continue
			}
			var e *Error
			if want := p + ": " + tt.want + p; !errors.As(err, &e) || err.Error() != want {
				t.Errorf("%v: got  %v\nwant %s", tt.mode, err, want)
			}
		}
	}
}
