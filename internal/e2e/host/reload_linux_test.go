package host_test

import (
	"regexp"
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// TestReload changes a running profile into every other one of a list: what the
// host is then told is the same as after an up of that profile, and a reload
// that changes nothing changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	a := host.EntryAddr().V4
	n.Write(t, "/etc/multihop", r.EntryFile(a, everything, "DNS = 10.64.0.1"))
	n.Write(t, "/etc/multihop", r.ExitFile(a, everything, "DNS = 10.65.0.1"))
	split := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 203.0.113.0/24, 2001:db8:99::/64", 1)
	covers := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 203.0.113.0/24, 198.51.100.0/24, 2001:db8:99::/64", 1)
	ipv4 := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 0.0.0.0/0", 1)
	profiles := []struct{ name, text string }{
		{"default", "[Interface]\n" + hops},
		{"split", "[Interface]\n" + split},
		{"split, kill switch", "[Interface]\nKillSwitch = yes\n" + split},
		{"split that covers an endpoint", "[Interface]\n" + covers},
		{"IPv4", "[Interface]\n" + ipv4},
		{"IPv6 direct", "[Interface]\nIPv6 = direct\n" + ipv4},
		{"no kill switch, no LAN", "[Interface]\nKillSwitch = no\nLAN = deny\n" + hops},
		{"mark, exclude", "[Interface]\nFwMark = 0x77\nExclude = 9.9.9.0/24, 2620:fe::/48\n" + hops},
		{"DNS", "[Interface]\nDNS = exit\n" + hops},
		{"MTU, other DNS", "[Interface]\nMTU = 1400\nDNS = 10.64.0.1 via entry, corp.example\n" + hops},
		{"table", "[Interface]\nTable = 1234\nFwMark = 0x78\n" + hops},
	}
	before := n.State(t)
	fresh := make([]string, len(profiles))
	for k, p := range profiles {
		i := n.Profile(t, host.File{Name: "office.conf", Text: p.text})
		i.Up(t)
		fresh[k] = unnumbered(n.State(t))
		i.Down(t)
	}
	n.Same(t, before, "after ups and downs")

	for from, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			i := n.Profile(t, host.File{Name: "office.conf", Text: p.text})
			i.Up(t)
			for to, q := range profiles {
				n.Write(t, "/etc/multihop", host.File{Name: "office.conf", Text: q.text})
				i.Reload(t)
				sameAs(t, n, fresh[to], "from "+p.name+" to "+q.name)
				n.Write(t, "/etc/multihop", host.File{Name: "office.conf", Text: p.text})
				i.Reload(t)
				sameAs(t, n, fresh[from], "from "+q.name+" back to "+p.name)
				if t.Failed() {
					break
				}
			}
			v4, v6 := site()
			switch p.name {
			case "default", "split", "mark, exclude", "MTU, other DNS":
				sees(t, n, v4, host.Inner().V4)
				sees(t, n, v6, host.Inner().V6)
			case "IPv6 direct":
				sees(t, n, v4, host.Inner().V4)
				sees(t, n, v6, host.HostPublic())
			}
			i.Down(t)
			n.Same(t, before, "after down")
		})
	}
}

// numbers are the marks and tables of TestReload. A reload may keep the chosen
// ones that it has.
var numbers = regexp.MustCompile(`\b(0x0*(77|78|ce54)|119|120|1234|52820)\b`)

// unnumbered is a state without them.
func unnumbered(state string) string { return numbers.ReplaceAllString(state, "N") }

// sameAs is Network.Same without numbers.
func sameAs(t *testing.T, n *host.Network, want, when string) {
	t.Helper()
	n.SameBy(t, unnumbered, want, when)
}
