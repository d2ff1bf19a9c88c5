package host_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// manyPrefixes is how many prefixes TestManyPrefixes routes; MULTIHOP_ROUTES in
// the environment overrides it.
const manyPrefixes = 100_000

// manyTime is how long a command may take then.
const manyTime = 3 * time.Minute

// TestManyPrefixes routes a file as long as a full table through the exit: up, a
// reload that changes one line, what becomes of a hop's MTU, and down.
func TestManyPrefixes(t *testing.T) {
	t.Parallel()
	many := manyPrefixes
	if s := os.Getenv("MULTIHOP_ROUTES"); s != "" {
		var err error
		if many, err = strconv.Atoi(s); err != nil {
			t.Fatalf("MULTIHOP_ROUTES: %v", err)
		}
	}
	n := builds.Network(t)
	r := n.StartRelays(t)
	prefixes := randomPrefixes(many)
	path := filepath.Join(n.Host.Root(), "etc/multihop/table.txt")
	n.Write(t, "/etc/multihop", host.File{Name: "table.txt"})
	write := func() {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		for _, p := range prefixes {
			fmt.Fprintln(w, p)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write()
	text := strings.Replace(hops, "Config = entry.conf", "Config = entry.conf\nRoutes = 10.64.0.1/32", 1)
	text = strings.Replace(text, "Via = entry", "Via = entry\nRoutes = @table.txt, 203.0.113.0/24", 1)
	i := n.Profile(t, host.File{Name: "table.conf", Text: "[Interface]\n" + text}, files(r)...)
	before := n.State(t)

	took := func(what string, f func()) {
		start := time.Now()
		f()
		cpu := "ended"
		if pid, err := i.PID(); err == nil {
			cpu = usage(pid)
		}
		t.Logf("%s: %v (process: %s)", what, time.Since(start).Round(10*time.Millisecond), cpu)
	}
	multihop := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), manyTime)
		defer cancel()
		return n.Host.Run(ctx, n.Programs.Multihop, args...)
	}
	took(fmt.Sprintf("up with %d prefixes", many), func() {
		out, err := multihop("up", "--name", "table", "table")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
	v4, _ := site()
	sees(t, n, v4, host.Inner().V4)
	routes := func(when string, mtu int) {
		t.Helper()
		const list = "ip -4 route show table all proto 109"
		into := n.Must(t, "sh", "-c", fmt.Sprintf("%s | grep -c 'dev table .*mtu %d'", list, mtu))
		guards := n.Must(t, "sh", "-c", list+" | grep -c ^unreachable")
		// And that of the site, and the entry's.
		if want := fmt.Sprintf("%d\n%d\n", many+1, many+2); into+guards != want {
			t.Errorf("%s: routes with an MTU of %d and guards for %d prefixes: %q, want %q", when, mtu, many, into+guards, want)
		}
	}
	routes("after up", 1360)

	prefixes[many/2] = netip.MustParsePrefix("240.1.2.0/24")
	write()
	took("a reload that changes one", func() {
		out, err := multihop("reload", "-v", "table")
		if changes := strings.Count(out, "[#] "); err != nil || changes != 4 {
			t.Errorf("%v, %d changes, want 4:\n%.2000s", err, changes, out)
		}
	})
	routes("after the reload", 1360)

	took("an uplink with a smaller MTU", func() {
		n.IP(t, "link", "set", "eth0", "mtu", "1450")
		for end := time.Now().Add(manyTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if strings.Contains(n.IP(t, "route", "get", prefixes[0].Addr().String()), "mtu 1310") {
				return
			}
		}
		t.Error("a route keeps its MTU")
	})
	n.IP(t, "link", "set", "eth0", "mtu", "1500")
	took("down", func() {
		if out, err := multihop("down", "table"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	n.Same(t, before, "after down")
}

// randomPrefixes returns different prefixes of as many lengths as a full table
// has, none of them in use here.
func randomPrefixes(n int) []netip.Prefix {
	rnd := rand.New(rand.NewPCG(1, 1))
	seen := make(map[netip.Prefix]bool, n)
	list := make([]netip.Prefix, 0, n)
	for len(list) < n {
		a := netip.AddrFrom4([4]byte{byte(16 + rnd.IntN(108)), byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256))})
		p, err := a.Prefix(16 + rnd.IntN(13))
		if err == nil && !seen[p] && !p.Contains(netip.MustParseAddr("100.64.0.1")) {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}

// usage says how much of the processors a process has had, and its memory.
func usage(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(f) < 13 {
		return "gone"
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	s := fmt.Sprintf("%v of the processors", time.Duration(user+system)*10*time.Millisecond)
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if k, v, _ := strings.Cut(line, ":"); k == "VmHWM" || k == "VmRSS" {
			s += ", " + k + " " + strings.TrimSpace(v)
		}
	}
	return s
}
