package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// told returns all that the network namespace has been told, in the words of the
// tools: addresses, rules, routes of all tables, the firewall, sysctls.
func told(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, c := range []string{
		"ip -o addr", "ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all", "nft list ruleset",
	} {
		args := strings.Fields(c)
		b, err := exec.Command(args[0], args[1:]...).CombinedOutput() // in the namespace of this thread
		if err != nil && !strings.Contains(string(b), "does not exist") {
			t.Fatalf("%s: %v: %s", c, err, b)
		}
		out.WriteString("# " + c + "\n" + string(b))
	}
	for _, pattern := range []string{"ipv4/conf/all/*", "ipv4/conf/eth0/*", "ipv6/conf/all/*", "ipv6/conf/eth0/*", "ipv4/*", "ipv6/*"} {
		files, err := filepath.Glob("/proc/sys/net/" + pattern)
		must(t, err)
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && !strings.HasSuffix(f, "_secret") {
				out.WriteString(f + "=" + string(b))
			}
		}
	}
	if l, err := netlink.LinkByName("mh0"); err == nil {
		fmt.Fprintln(&out, "mh0", l.Attrs().MTU, l.Attrs().Flags)
	}
	return ignored.ReplaceAllString(out.String(), "")
}

// ignored is how nft says whether the owner of a table lives, and a route that
// the kernel makes when the TUN gets its first IPv6 address for the second time.
var ignored = regexp.MustCompile(` # progname \S+|\tflags (owner)?\n|multicast ff00::/8 dev mh0 .*\n`)

// sameState fails the test if the host is not as it was before.
func sameState(t *testing.T, before string) {
	t.Helper()
	diffStates(t, before, told(t))
}

func diffStates(t *testing.T, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	was := map[string]int{}
	for l := range strings.Lines(before) {
		was[l]++
	}
	for l := range strings.Lines(after) {
		if was[l]--; was[l] < 0 {
			t.Errorf("+ %s", l)
		}
	}
	for l, n := range was {
		if n > 0 {
			t.Errorf("- %s", l)
		}
	}
}
