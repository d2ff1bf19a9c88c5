package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "us nyc.conf")
	if err := os.WriteFile(path, []byte(testMinimal), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path != path || f.Name != "us-nyc" || len(f.Peers) != 1 {
		t.Errorf("got %q, %q, %d peers", f.Path, f.Name, len(f.Peers))
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	missing, broken := filepath.Join(dir, "missing.conf"), filepath.Join(dir, "broken.conf")
	if err := os.WriteFile(broken, []byte("[Interface]\nMTU = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		is   error  // nil: not asked
		want string // "": the system's words
	}{
		{missing, fs.ErrNotExist, ""},
		{dir, nil, dir + ": a directory: give the path of a wg-quick file"},
		{broken, nil, broken + `:2: MTU: "x" is not a number from 0 to 65535`},
	} {
		f, err := Load(tt.path)
		var e *Error
		if !errors.As(err, &e) || f != nil || e.File != tt.path {
			t.Errorf("%s: got %v, %v", tt.path, f, err)
			continue
		}
		if tt.is != nil && !errors.Is(err, tt.is) || tt.want != "" && err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"/etc/multihop/us-nyc.conf", "/etc/multihop/us-nyc.conf"},
		{"us nyc.conf", "'us nyc.conf'"},
		{"it's $(x).conf", `'it'\''s $(x).conf'`},
		{"-rf.conf", "./-rf.conf"},
		{"", "''"},
	} {
		if got := shellQuote(tt.in); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
	}
}
