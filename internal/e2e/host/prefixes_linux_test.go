package host_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// TestPrefixFile routes a file of prefixes through the exit, more than are listed
// one by one: the kernel sends each of them to the TUN and nothing beside them,
// and a reload follows the file.
func TestPrefixFile(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	// Every other network of 203.0.113.0/24, so that none can stand for two, and as
	// many of IPv6.
	set := make(map[netip.Prefix]bool)
	for k := range 64 {
		set[netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(4 * k)}), 31)] = true
	}
	for k := range 600 {
		a := netip.MustParseAddr("2001:db8:99::").As16()
		a[14], a[15] = byte(k>>6), byte(k<<2)
		set[netip.PrefixFrom(netip.AddrFrom16(a), 127)] = true
	}
	write := func() {
		var b strings.Builder
		b.WriteString("# a country\n")
		for p := range set {
			fmt.Fprintln(&b, p)
		}
		n.Write(t, "/etc/multihop", host.File{Name: "country.txt", Text: b.String()})
	}
	write()
	text := strings.Replace(hops, "Config = entry.conf", "Config = entry.conf\nRoutes = 10.64.0.1/32", 1)
	text = "[Interface]\n" + strings.Replace(text, "Via = entry", "Via = entry\nRoutes = @country.txt", 1)
	before := n.State(t)
	i := n.Profile(t, host.File{Name: "office.conf", Text: text}, files(r)...)
	i.Up(t)

	// follows waits until the routes of the TUN are the set and what the entry has,
	// each with its guard.
	follows := func(when string) {
		t.Helper()
		var wrong []string
		for end := time.Now().Add(mtuTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			wrong = nil
			into, guards := make(map[netip.Prefix]bool), make(map[netip.Prefix]bool)
			for _, family := range []string{"-4", "-6"} {
				for line := range strings.Lines(n.IP(t, family, "route", "show", "table", "all", "proto", "109")) {
					to, of := into, strings.Fields(line)
					if of[0] == "unreachable" {
						to, of = guards, of[1:]
					}
					p, err := netip.ParsePrefix(of[0])
					if err != nil {
						a := netip.MustParseAddr(of[0])
						p = netip.PrefixFrom(a, a.BitLen())
					}
					if to[p] {
						wrong = append(wrong, "twice: "+line)
					}
					to[p] = true
				}
			}
			for p := range set {
				if !into[p] || !guards[p] {
					wrong = append(wrong, fmt.Sprintf("%v: route %v, guard %v", p, into[p], guards[p]))
				}
			}
			if len(into) != len(set)+1 || len(guards) != len(set)+1 {
				wrong = append(wrong, fmt.Sprintf("%d routes and %d guards for %d prefixes and that of the entry", len(into), len(guards), len(set)))
			}
			if len(wrong) == 0 {
				return
			}
		}
		t.Errorf("%s: %d are wrong, such as %s", when, len(wrong), wrong[:min(len(wrong), 5)])
	}
	follows("after up")
	a4, a6 := host.Site(2), host.Site(6) // .12 and .16: the first address of a network each
	sees(t, n, a4.V4, host.Inner().V4)
	sees(t, n, a6.V6, host.Inner().V6)
	sees(t, n, netip.MustParseAddr("203.0.113.14"), host.HostAddr().V4) // between two

	delete(set, netip.MustParsePrefix("203.0.113.12/31"))
	set[netip.MustParsePrefix("203.0.113.14/31")] = true
	write()
	i.Reload(t)
	follows("after a reload")
	sees(t, n, a4.V4, host.HostAddr().V4)
	sees(t, n, netip.MustParseAddr("203.0.113.14"), host.Inner().V4)

	i.Down(t)
	n.Same(t, before, "after down")
}
