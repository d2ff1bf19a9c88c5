package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"multihop/internal/netlab"
)

// State is all that a program could leave on the host: addresses, rules, routes
// of every table, firewall, sysctls of the network, the resolvers' file and what
// is in /run. Two states of the same host compare line by line.
func (n *Network) State(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	for _, args := range []string{
		"-d addr", "-4 -d rule", "-6 -d rule", "-4 route show table all", "-6 route show table all",
	} {
		fmt.Fprintf(&b, "== ip %s\n", args)
		for line := range strings.Lines(n.IP(tb, strings.Fields(args)...)) {
			b.WriteString(number.ReplaceAllString(line, ""))
		}
	}
	fmt.Fprintf(&b, "== nft list ruleset\n%s", n.Must(tb, "nft", "list", "ruleset"))
	b.WriteString("== sysctl\n" + n.sysctls(tb))
	b.WriteString("== files\n" + n.files(tb))
	return b.String()
}

// number is that of an interface, which is another whenever one of the same name
// is made.
var number = regexp.MustCompile(`^[0-9]+: `)

// sysctls are the network's, by path. What counts by itself is left out.
func (n *Network) sysctls(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	err := n.Host.Do(func() error {
		const root = "/proc/sys/net"
		return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "/nf_conntrack_count") {
				return err
			}
			if value, err := os.ReadFile(path); err == nil { // some may only be written
				fmt.Fprintf(&b, "%s = %s\n", strings.TrimPrefix(path, root+"/"), strings.TrimSpace(string(value)))
			}
			return nil
		})
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// files are the host's resolv.conf and everything in /run, with what they are.
// What instances share stays when the last one ends: folders, and a lock.
func (n *Network) files(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	root := n.Host.Root()
	for _, top := range []string{"/etc/resolv.conf", "/run"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, root)
			if name == "/run/multihop/.lock" || d.IsDir() && (name == "/run" || name == "/run/multihop" || name == "/run/wireguard" || name == "/run/netns") {
				return nil
			}
			fmt.Fprintf(&b, "%s %v", name, info.Mode())
			if info.Mode().IsRegular() && strings.HasPrefix(name, "/etc/") {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, " %q", content)
			}
			b.WriteByte('\n')
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return b.String()
}

// Same fails the test unless the host's state becomes want soon.
func (n *Network) Same(tb testing.TB, want, when string) {
	tb.Helper()
	n.SameBy(tb, func(state string) string { return state }, want, when)
}

// SameBy is Same of what of makes of the state.
func (n *Network) SameBy(tb testing.TB, of func(state string) string, want, when string) {
	tb.Helper()
	var got string
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got = of(n.State(tb)); got == want {
			return
		}
	}
	tb.Errorf("%s the host is not as it was (-before +now):\n%s", when, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
}

// Write writes a file as the host's path dir/name, readable by root only, and
// returns that path.
func (n *Network) Write(tb testing.TB, dir string, f File) string {
	tb.Helper()
	at := filepath.Join(n.Host.Root(), dir)
	err := os.MkdirAll(at, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(at, f.Name), []byte(f.Text), 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, f.Name)
}

// Read is the content of the host's file at path; "": there is none.
func (n *Network) Read(path string) string {
	b, _ := os.ReadFile(filepath.Join(n.Host.Root(), path))
	return string(b)
}

// SetRPFilter sets the reverse path filter of the host: 0 off, 1 strict,
// 2 loose.
func (n *Network) SetRPFilter(value int) { setRPFilter(n.Host, value) }

func setRPFilter(h *netlab.Host, value int) {
	for _, name := range []string{"all", "default", "eth0", "eth1"} {
		h.Sysctl(fmt.Sprintf("ipv4/conf/%s/rp_filter=%d", name, value))
	}
}
