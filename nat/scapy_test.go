package nat

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scapyFiles is where testdata/scapy/make.py put its packets, and how many
// cases each file must have at least.
var scapyFiles = map[string]int{"ipv4.txt": 40, "ipv6.txt": 53, "errors4.txt": 59, "errors6.txt": 65, "fragments.txt": 62}

// TestScapy translates packets that scapy built for one address, and compares
// with those that it built for the other.
func TestScapy(t *testing.T) {
	for file, least := range scapyFiles {
		cases := readScapy(t, filepath.Join("testdata", "scapy", file))
		if len(cases) < least {
			t.Errorf("%s: %d cases", file, len(cases))
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ours, hop := tun4, hop4
				if c.before[0]>>4 == 6 {
					ours, hop = tun6, hop6
				}
				thereAndBack(t, c.before, c.after, ours, hop, c.out)
			})
		}
	}
}

// TestScapyMake has scapy build the packets again. It compares every byte and
// comment of the files.
func TestScapyMake(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, for which its packages are
	dir := t.TempDir()
	t.Setenv("HOME", dir) // scapy looks for its settings
	if err := exec.Command(python, "-c", "import scapy.packet").Run(); err != nil {
		t.Skip("needs scapy (Debian package python3-scapy)")
	}
	if out, err := exec.Command(python, "-B", "testdata/scapy/make.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("make.py: %v\n%s", err, out)
	}
	for file := range scapyFiles {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", "scapy", file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what make.py writes", file)
		}
	}
}

// A scapyCase is a packet for tun4 or tun6, and the same for hop4 or hop6.
type scapyCase struct {
	name          string
	out           bool // the address is the source
	before, after []byte
}

// readScapy reads the cases of one file:
//
//	== NAME, source|destination
//	before
//	45 00 ...  // comment
//	after
//	45 00 ...  // comment
func readScapy(t *testing.T, file string) (cases []scapyCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n== ")
	for _, s := range strings.Split(rest, "\n== ") {
		name, s, ok1 := strings.Cut(s, "\nbefore\n")
		before, after, ok2 := strings.Cut(s, "after\n")
		c := scapyCase{name: name, before: golden(t, before), after: golden(t, after)}
		c.out = strings.HasSuffix(name, ", source")
		if !ok1 || !ok2 || !c.out && !strings.HasSuffix(name, ", destination") || len(c.before) == 0 || bytes.Equal(c.before, c.after) {
			t.Fatalf("%s: case %q cannot be read", file, name)
		}
		cases = append(cases, c)
	}
	return cases
}
