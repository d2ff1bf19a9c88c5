package conf

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fullTable returns a file of n prefixes, IPv4 and IPv6 mixed, unsorted.
func fullTable(n int) string {
	var b strings.Builder
	b.WriteString("# a table\n")
	for i := range n {
		x := uint32(i) * 2654435761 // Knuth's multiplier: each once
		switch {
		case i%5 == 4:
			fmt.Fprintf(&b, "2001:%x:%x::/48\n", x>>16, x&0xffff)
		case i%3 == 2:
			fmt.Fprintf(&b, "%d.%d.%d.%d # a comment\n", x>>24, x>>16&255, x>>8&255, x&255)
		default:
			fmt.Fprintf(&b, "%d.%d.%d.%d/32\n", x>>24, x>>16&255, x>>8&255, x&255)
		}
	}
	return b.String()
}

// TestManyPrefixes: however many routes a file has, they cost their own memory
// (32 bytes each, which -race allocates twice), that of the text, and no
// allocation each.
func TestManyPrefixes(t *testing.T) {
	const n = 100_000
	text := fullTable(n)
	dir := folder(t, map[string]string{"p.conf": "[Hop]\nConfig = a.conf\nRoutes = @table\n", "a.conf": wg("a", "0.0.0.0/0, ::/0"), "table": text})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := LoadProfile(filepath.Join(dir, "p.conf"), nil)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Config.Routes) != 1 || len(c.Config.Routes[0].Prefixes) != n-1 {
		t.Fatalf("%d routes, the first with %d more", len(c.Config.Routes), len(c.Config.Routes[0].Prefixes))
	}
	mallocs, bytes := after.Mallocs-before.Mallocs, int(after.TotalAlloc-before.TotalAlloc)
	if most := len(text) + 2*32*n + 512<<10; mallocs > 2000 || bytes > most {
		t.Errorf("%d allocations of %d bytes, want at most 2000 of %d", mallocs, bytes, most)
	}
}

func BenchmarkParsePrefixes(b *testing.B) {
	text := fullTable(1_000_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := parsePrefixes("table", text, func(netip.Prefix) error { n++; return nil }); err != nil || n != 1_000_000 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkLoadMillion(b *testing.B) {
	dir := b.TempDir()
	for name, text := range map[string]string{"p.conf": "[Hop]\nConfig = a.conf\nRoutes = @table\n", "a.conf": wg("a", "0.0.0.0/0, ::/0"), "table": fullTable(1_000_000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadProfile(filepath.Join(dir, "p.conf"), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParsePrefixes(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name, text string
		want       string // the prefixes
		warning    string
		err        string
	}{
		{name: "one a line", text: "10.0.0.0/8\n192.0.2.1\n2001:db8::/32", want: "10.0.0.0/8 192.0.2.1/32 2001:db8::/32"},
		{name: "comments, blanks and CRLF", text: "\ufeff# a\r\n\r\n\t10.0.0.0/8 # b\r\n#c\n", want: "10.0.0.0/8"},
		{name: "host bits", text: "10.0.0.1/8\n10.0.0.0/9\n10.0.0.2/9\n::1/64\n", want: "10.0.0.0/8 10.0.0.0/9 10.0.0.0/9 ::/64",
			warning: "nets:1: 10.0.0.1/8 has host bits: read as 10.0.0.0/8 (and 2 more)"},
		{name: "two a line", text: "10.0.0.0/8\n10.0.0.0/8,10.0.0.0/9", err: `nets:2: "10.0.0.0/8,10.0.0.0/9" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{name: "a word", text: "\n\nDE\n", err: `nets:3: "DE" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{name: "mapped", text: "::ffff:10.0.0.1", err: `nets:1: "::ffff:10.0.0.1" is an IPv4 address written as IPv6: write it as IPv4`},
		{name: "a long line", text: long, err: "nets:1: the value (not repeated here: it could be a key) is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128"},
		{name: "nothing", text: "# nothing\n", err: "nets: no prefixes: want one a line"},
		{name: "refused", text: "10.0.0.0/8\n127.0.0.0/8\n", err: "nets:2: refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := readText("nets", strings.NewReader(tt.text), 0, maxPrefixFile, "file of prefixes")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			warning, err := parsePrefixes("nets", text, func(p netip.Prefix) error {
				if p.Addr().IsLoopback() {
					return fmt.Errorf("refused")
				}
				got = append(got, p.String())
				return nil
			})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got  %v\nwant %s", err, tt.err)
				}
				return
			}
			text = ""
			if warning != nil {
				text = warning.String()
			}
			if err != nil || strings.Join(got, " ") != tt.want || text != tt.warning {
				t.Errorf("got  %v, %s, %v\nwant %s, %s", got, text, err, tt.want, tt.warning)
			}
		})
	}
	many := strings.Repeat("::\n", maxFilePrefixes+1)
	_, err := parsePrefixes("nets", many, func(netip.Prefix) error { return nil })
	if want := "nets:4194305: more than 4194304 prefixes in one file"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
