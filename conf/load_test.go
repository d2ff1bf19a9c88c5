package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// Every line that is wrong is reported, and nothing that only follows from it.
func TestLoadAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.conf")
	text := "[Interface]\nPrivateKey = x\nMTU = y\n[Pear]\nPublicKey = x\n" + testPeer + "Endpoint = z\n[Peer]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := LoadAll(path)
	if f != nil || err == nil {
		t.Fatalf("got %v, %v", f, err)
	}
	var lines []int
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var at *Error
		if !errors.As(e, &at) {
			t.Fatalf("not an *Error: %v", e)
		}
		lines = append(lines, at.Line)
	}
	if want := []int{2, 3, 4, 8}; !slices.Equal(lines, want) {
		t.Errorf("errors in lines %v, want %v:\n%v", lines, want, err)
	}
	if err := os.WriteFile(path, []byte("[Interface]\n"+strings.Repeat("x = y\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAll(path); strings.Count(err.Error(), "\n") != maxErrors-1 {
		t.Errorf("%d lines", strings.Count(err.Error(), "\n")+1)
	}
	if err := os.WriteFile(path, []byte(testMinimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := LoadAll(path); f == nil || err != nil {
		t.Errorf("a file without errors: %v, %v", f, err)
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
