package host_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// A profile is one of those that TestReload changes into one another.
type profile struct{ name, text string }

// TestReload changes a running profile into every other one of a list: what the
// host is then told is the same as after an up of that profile, and a reload
// that changes nothing changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	split := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 203.0.113.0/24, 2001:db8:99::/64", 1)
	covers := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 203.0.113.0/24, 198.51.100.0/24, 2001:db8:99::/64", 1)
	ipv4 := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 0.0.0.0/0", 1)
	for _, f := range []struct {
		name     string
		profiles []profile
	}{
		{"mark chosen", []profile{
			{"default", hops},
			{"split", split},
			{"split, kill switch", "KillSwitch = yes\n" + split},
			{"split that covers an endpoint", covers},
			{"IPv4", ipv4},
			{"IPv6 direct", "IPv6 = direct\n" + ipv4},
			{"no kill switch, no LAN", "KillSwitch = no\nLAN = deny\n" + hops},
			{"mark", "FwMark = 0x77\n" + hops},
			{"exclude", "Exclude = 9.9.9.0/24, 2620:fe::/48\n" + hops},
			{"DNS", "DNS = exit\n" + hops},
			{"MTU, other DNS", "MTU = 1400\nDNS = 10.64.0.1 via entry, corp.example\n" + hops},
		}},
		{"mark given", []profile{
			{"default", "FwMark = 0x77\n" + hops},
			{"table", "FwMark = 0x77\nTable = 1234\n" + hops},
			{"table, split", "FwMark = 0x77\nTable = 1235\n" + split},
			{"table off", "FwMark = 0x77\nTable = off\n" + hops},
			{"split, kill switch", "FwMark = 0x77\nKillSwitch = yes\n" + split},
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			reloads(t, f.profiles)
		})
	}
}

func reloads(t *testing.T, profiles []profile) {
	n := builds.Network(t)
	r := n.StartRelays(t)
	a := host.EntryAddr().V4
	n.Write(t, "/etc/multihop", r.EntryFile(a, everything, "DNS = 10.64.0.1"))
	n.Write(t, "/etc/multihop", r.ExitFile(a, everything, "DNS = 10.65.0.1"))
	write := func(p profile) {
		n.Write(t, "/etc/multihop", host.File{Name: "office.conf", Text: "[Interface]\n" + p.text})
	}
	before := n.State(t)
	i := n.Instance(t, "office", "office")
	fresh := make([]string, len(profiles))
	for k, p := range profiles {
		write(p)
		i.Up(t)
		fresh[k] = unnumbered(settled(t, n))
		i.Down(t)
	}
	n.Same(t, before, "after ups and downs")

	at := 0
	write(profiles[at])
	i.Up(t)
	for _, to := range everyChange(len(profiles)) {
		write(profiles[to])
		i.Reload(t)
		sameAs(t, n, fresh[to], "from "+profiles[at].name+" to "+profiles[to].name)
		if t.Failed() {
			return
		}
		if at == to {
			wayOut(t, n, profiles[at].name)
		}
		at = to
	}
	i.Down(t)
	n.Same(t, before, "after down")
}

// everyChange is a way through n profiles, from the first, that leads once from
// each to every one, itself included, and ends at the first.
func everyChange(n int) (way []int) {
	var visit func(i int)
	visit = func(i int) {
		way = append(way, i)
		for j := i + 2; j < n; j++ {
			way = append(way, j, i)
		}
		if i+1 < n {
			way = append(way, i+1)
			visit(i + 1)
			way = append(way, i)
		}
	}
	visit(0)
	return way
}

func TestEveryChange(t *testing.T) {
	for n := 1; n < 12; n++ {
		seen := make(map[[2]int]int)
		at := 0
		for _, to := range everyChange(n) {
			seen[[2]int{at, to}]++
			at = to
		}
		for change, times := range seen {
			if times != 1 {
				t.Errorf("of %d: %v occurs %d times", n, change, times)
			}
		}
		if len(seen) != n*n || at != 0 {
			t.Errorf("of %d: %d changes, ends at %d", n, len(seen), at)
		}
	}
}

// wayOut checks whom sites see with a profile.
func wayOut(t *testing.T, n *host.Network, name string) {
	t.Helper()
	v4, v6 := site()
	switch name {
	case "default", "split", "mark", "exclude", "split, kill switch", "MTU, other DNS":
		sees(t, n, v4, host.Inner().V4)
		sees(t, n, v6, host.Inner().V6)
	case "IPv6 direct":
		sees(t, n, v4, host.Inner().V4)
		sees(t, n, v6, host.HostPublic())
	}
}

// settled is the host's state once it has stayed the same for a while: who
// watches the network looks at what up did, too.
func settled(t *testing.T, n *host.Network) string {
	t.Helper()
	last := n.State(t)
	for range 20 {
		time.Sleep(300 * time.Millisecond)
		next := n.State(t)
		if next == last {
			return next
		}
		last = next
	}
	t.Fatal("the host's state does not settle")
	return ""
}

// TestReloadRefused reloads what a running instance cannot become: it says so,
// and goes on as it was.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	i := n.Profile(t, host.File{Name: "office.conf", Text: "[Interface]\n" + hops}, files(r)...)
	i.Up(t)
	bothHops(t, n)
	up := n.State(t)
	for _, f := range []struct{ name, text, says string }{
		{"namespace", "[Interface]\nNetns = apps\n" + hops, "Netns"},
		{"unknown key", "[Interface]\nColour = blue\n" + hops, "Colour"},
		{"unknown hop", "[Interface]\n" + strings.Replace(hops, "Via = entry", "Via = moon", 1), "moon"},
		{"no file", "[Interface]\n" + strings.Replace(hops, "exit.conf", "none.conf", 1), "none.conf"},
	} {
		t.Run(f.name, func(t *testing.T) {
			n.Write(t, "/etc/multihop", host.File{Name: "office.conf", Text: f.text})
			if out, err := n.Multihop("reload", "office"); err == nil || !strings.Contains(out, f.says) {
				t.Errorf("%v, want a refusal that names %s:\n%s", err, f.says, out)
			}
			n.Same(t, up, "after the refusal")
			bothHops(t, n)
		})
	}
	i.Down(t)
}

// numbers are the mark and the tables that are chosen. A reload may keep those
// that it has.
var numbers = regexp.MustCompile(`\b(0x0*(77|ce54)|119|1234|52820)\b`)

// own is a setting of the TUN itself that a reload to Table = off leaves: it
// does no harm, and goes with the TUN.
var own = regexp.MustCompile(`(ipv4/conf/office/rp_filter =) [02]`)

// unnumbered is a state without them.
func unnumbered(state string) string {
	return own.ReplaceAllString(numbers.ReplaceAllString(state, "N"), "$1 N")
}

// sameAs is Network.Same without numbers.
func sameAs(t *testing.T, n *host.Network, want, when string) {
	t.Helper()
	n.SameBy(t, unnumbered, want, when)
}
