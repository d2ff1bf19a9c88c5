package conf

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"multihop/router"
)

// FuzzParse checks that no text makes Parse panic, that no key in the text is
// ever shown, and that what Parse returns keeps its promises.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(testMinimal + "Endpoint = [fe80::1%" + testPrivate + "]:1\n")
	f.Add("[Interface]\n" + testPrivate + " = " + testPrivate + "\n[" + testPrivate + "]\nDNS=" + testPrivate)
	aKey := regexp.MustCompile(`[0-9A-Za-z+/]{43}=`)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("fuzz.conf", strings.NewReader(text))
		shown := render(err)
		if err == nil {
			checkFile(t, file)
			var c *Instance
			c, err = Chain([]*File{file, file}, nil)
			shown = render(err) + render(c) + render(file) + render(file.Interface) + render(file.Peers)
		}
		for _, key := range aKey.FindAllString(text, -1) {
			if strings.Contains(shown, key) {
				t.Errorf("shows the key %s", key)
			}
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("more than one line: %q", err)
		}
	})
}

func checkFile(t *testing.T, f *File) {
	t.Helper()
	if f.Interface.PrivateKey.IsZero() || len(f.Peers) == 0 {
		t.Fatal("no private key or no peer")
	}
	owner := make(map[netip.Prefix]router.Key)
	for _, p := range f.Peers {
		if p.PublicKey.IsZero() {
			t.Errorf("peer in line %d has no public key", p.Line)
		}
		if p.Endpoint != "" {
			if again, err := parseEndpoint(p.Endpoint); err != nil || again != p.Endpoint {
				t.Errorf("endpoint %q is read again as %q, %v", p.Endpoint, again, err)
			}
		}
		for _, prefix := range p.AllowedIPs {
			if _, ok := owner[prefix]; ok || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
				t.Errorf("peer in line %d: %v is listed twice, or not masked", p.Line, prefix)
			}
			owner[prefix] = p.PublicKey
		}
	}
	for _, w := range f.Warnings {
		if w.Line < 1 || w.Text == "" || strings.ContainsAny(w.String(), "\n\r") {
			t.Errorf("bad warning %q", w)
		}
	}
}

// FuzzParseRouteFlag checks that a flag survives its own text.
func FuzzParseRouteFlag(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "exit=::/0", "a=b=192.0.2.1", "=", "exit=fe80::1%a/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		flag, err := ParseRouteFlag(s)
		if err != nil {
			return
		}
		if again, err := ParseRouteFlag(flag.String()); err != nil || again != flag {
			t.Errorf("%q: %v is read again as %v, %v", s, flag, again, err)
		}
	})
}
