package host_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/e2e/host"
)

// TestBesideWGQuick runs multihop and wg-quick on one host, each with a default
// route or with prefixes of its own, in either order, and checks who carries
// what:
//
//	wg-quick   multihop            first      wg-quick's prefixes   multihop's   others
//	prefixes   prefixes            either     wg-quick              multihop     in the open
//	default    prefixes            either     wg-quick              multihop     wg-quick
//	prefixes   default             either     multihop              multihop     multihop
//	prefixes   default, Exclude    either     wg-quick              multihop     multihop
//	default    default             wg-quick   multihop              multihop     multihop
//	default    default             multihop   nobody                nobody       nobody
//
// Where multihop has the default, wg-quick's own datagrams travel inside it, or
// are excluded too; where wg-quick has it, multihop's travel inside wg-quick's.
// In the last line wg-quick's rules are before multihop's, whose kill switch
// then stops everything.
func TestBesideWGQuick(t *testing.T) {
	t.Parallel()
	const prefixes = "10.99.0.0/24, fd99::/64, 203.0.113.64/26"
	split := []string{"--route", "203.0.113.0/26", "--route", "2001:db8:99::/64"}
	exclude := []string{"--exclude", "10.99.0.0/24, fd99::/64, 203.0.113.64/26, 198.51.100.130"}
	multihop, wgQuick, open := host.Inner(), host.OtherAddr(), e2e.Pair{V4: host.HostAddr().V4, V6: host.HostPublic()}
	for _, f := range []struct {
		name            string
		allowed         string // wg-quick's
		args            []string
		theirs, ours    e2e.Pair // addresses that sites in their and in our prefixes see
		others          e2e.Pair
		nobody          bool   // nothing is carried if multihop is first
		warns, warnsToo string // show says so
	}{
		{"both with prefixes", prefixes, split, wgQuick, multihop, open, false, "", ""},
		{"wg-quick with the default", everything, split, wgQuick, multihop, wgQuick, false, "mh0: its packets", ""},
		{"multihop with the default", prefixes, nil, multihop, multihop, multihop, false, "other: its packets", "FwMark"},
		{"multihop with the default, excluding", prefixes, exclude, wgQuick, multihop, multihop, false, "", ""},
		{"both with the default", everything, nil, multihop, multihop, multihop, true, "other: its packets", "FwMark"},
	} {
		for _, first := range []string{"wg-quick", "multihop"} {
			t.Run(f.name+", "+first+" first", func(t *testing.T) {
				t.Parallel()
				n := builds.Network(t)
				r, o := n.StartRelays(t), n.StartOther(t)
				w := n.WGQuick(t, o.File("other.conf", f.allowed))
				i := n.Chain(t, "mh0", files(r), f.args...)
				tunnels := []netip.AddrPort{host.EntryEndpoint(host.EntryAddr().V4), o.Endpoint()}
				u := n.WatchUplink(t, nil, host.UplinkOptions{Endpoints: tunnels})
				before := n.State(t)
				said := "" // by what is started second, if that is multihop
				up := func() {
					if first == "multihop" {
						i.Up(t)
						w.Up(t)
						return
					}
					w.Up(t)
					var err error
					if said, err = i.TryUp(); err != nil {
						t.Fatalf("%v\n%s", err, said)
					}
				}

				up()
				if f.warns != "" && first == "wg-quick" && !strings.Contains(said, "its packets to") {
					t.Errorf("up does not warn:\n%s", said)
				}
				if out, err := n.Multihop(append([]string{"check"}, i.Args...)...); err != nil || f.warns != "" && !strings.Contains(out, "its packets to") {
					t.Errorf("check does not warn: %v\n%s", err, out)
				}
				time.Sleep(time.Second) // for each to hear of the other
				u.Mark(t)
				theirs, ours, others := f.theirs, f.ours, f.others
				if f.nobody && first == "multihop" {
					theirs, ours, others = e2e.Pair{}, e2e.Pair{}, e2e.Pair{}
				}
				carries(t, n, "wg-quick's prefixes", host.Site(60).V4, theirs.V4)
				carries(t, n, "wg-quick's peer", host.OtherInside().V4, theirs.V4)
				carries(t, n, "multihop's prefixes", host.Site(40).V4, ours.V4)
				carries(t, n, "multihop's prefixes", host.Site(40).V6, ours.V6)
				carries(t, n, "others", host.Site(150).V4, others.V4)
				if others != open {
					u.None(t, "both up")
				}
				warnings(t, i, f.warns, f.warnsToo)

				w.Down(t)
				i.Down(t)
				n.Host.Sysctl("ipv4/conf/all/src_valid_mark=0") // wg-quick leaves it
				n.Same(t, before, "after down of wg-quick and multihop")
				up()
				i.Down(t)
				w.Down(t)
				n.Host.Sysctl("ipv4/conf/all/src_valid_mark=0")
				n.Same(t, before, "after down of multihop and wg-quick")
			})
		}
	}
}

// carries checks what address a target sees; the zero one: it is not reached.
func carries(t *testing.T, n *host.Network, what string, target, want netip.Addr) {
	t.Helper()
	timeout := startTime
	if !want.IsValid() {
		timeout = 2 * time.Second
	}
	from, err := n.Host.Echo(target, 100, timeout)
	if err == nil && from.Addr() != want || err != nil && want.IsValid() {
		t.Errorf("%s: %v saw %v, %v; want %v", what, target, from, err, want)
	}
}

// warnings checks that show has a warning that contains all the words, or, if
// the first is empty, none.
func warnings(t *testing.T, i *host.Instance, words ...string) {
	t.Helper()
	out := i.Show(t)
	var found []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "warning:") {
			found = append(found, line)
		}
	}
	all := strings.Join(found, "")
	missing := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(all, w) })
	if words[0] == "" && len(found) > 0 || words[0] != "" && missing {
		t.Errorf("show warns %q, want %q", found, words)
	}
}
