package host_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e"
	"multihop/internal/e2e/host"
	"multihop/internal/netlab"
)

const (
	// renameTime is how soon a relay that has moved is found by its name: an
	// endpoint is looked up again when its last handshake is older than 135 s.
	renameTime = 3 * time.Minute

	// speakTime is how soon a relay that has moved and has a session says so.
	speakTime = 40 * time.Second
)

// TestRename moves a relay to another address under a kill switch that allows
// the old one alone: with its name, or so that it has to speak first itself.
func TestRename(t *testing.T) {
	for _, f := range []struct {
		name     string
		relay    func(n *host.Network, r *host.Relays) (*netlab.Host, *netlab.Tunnel)
		old, now e2e.Pair
		nets     [2]string
	}{
		{"entry.example", entryRelay, host.EntryAddr(),
			e2e.Pair{V4: netip.MustParseAddr("198.51.100.11"), V6: netip.MustParseAddr("2001:db8:e::11")}, [2]string{"/25", "/64"}},
		{"exit.example", exitRelay, host.ExitAddr(),
			e2e.Pair{V4: netip.MustParseAddr("198.51.100.131"), V6: netip.MustParseAddr("2001:db8:f::131")}, [2]string{"/25", "/64"}},
	} {
		for _, silent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, silent %v", f.name, silent), func(t *testing.T) {
				t.Parallel()
				n := builds.Network(t)
				r := n.StartRelays(t)
				u := n.WatchUplink(t, nil, host.UplinkOptions{
					Names: []string{"entry.example"},
					Endpoints: []netip.AddrPort{
						host.EntryEndpoint(host.EntryAddr().V4), netip.AddrPortFrom(f.now.V4, host.EntryPort),
					},
				})
				i := n.Chain(t, "mh0", named(n, r))
				i.Up(t)
				bothHops(t, n)

				u.Mark(t)
				at, relay := f.relay(n, r)
				within := speakTime
				if silent { // it knows nobody, so that it cannot speak first
					within = renameTime
					relay.Kill()
				}
				move(n, at, f.old, f.now, f.nets)
				if silent {
					relay.Start()
					n.Records().Set(f.name, f.now.V4)
				}
				v4, _ := site()
				start := time.Now()
				from, err := n.Host.Echo(v4, 100, within)
				if err != nil || from.Addr() != host.Inner().V4 {
					t.Errorf("%v after it moved: %v, %v", time.Since(start).Round(time.Second), from, err)
				}
				t.Logf("found after %v", time.Since(start).Round(time.Second))
				bothHops(t, n)
				u.None(t, "moved")
				i.Down(t)
			})
		}
	}
}

func entryRelay(n *host.Network, r *host.Relays) (*netlab.Host, *netlab.Tunnel) {
	return n.Entry, r.Entry
}

func exitRelay(n *host.Network, r *host.Relays) (*netlab.Host, *netlab.Tunnel) {
	return n.Exit, r.Exit
}

// named are the files of the chain, with names for endpoints.
func named(n *host.Network, r *host.Relays) []host.File {
	a := host.EntryAddr().V4
	entry := r.EntryFile(a, everything, "DNS = 10.64.0.1")
	exit := r.ExitFile(a, everything, "DNS = 10.65.0.1")
	entry.Text = strings.Replace(entry.Text, a.String(), "entry.example", 1)
	exit.Text = strings.Replace(exit.Text, host.ExitAddr().V4.String(), "exit.example", 1)
	n.Records().Set("entry.example", host.EntryAddr().V4)
	n.Records().Set("exit.example", host.ExitAddr().V4)
	return []host.File{entry, exit}
}

// move gives a relay's host another address instead of the one that it has, and
// tells the internet.
func move(n *host.Network, relay *netlab.Host, old, now e2e.Pair, nets [2]string) {
	gw4, gw6 := "198.51.100.1", "2001:db8:e::1"
	if relay == n.Exit {
		gw4, gw6 = "198.51.100.129", "2001:db8:f::1"
	}
	relay.RemoveAddr("eth0", old.V4.String()+nets[0])
	relay.RemoveAddr("eth0", old.V6.String()+nets[1])
	relay.Addr("eth0", now.V4.String()+nets[0], now.V6.String()+nets[1])
	relay.Via(gw4, "0.0.0.0/0")
	relay.Via(gw6, "::/0")
	inner4, inner6 := "10.64.0.0/24", "fd64::/64"
	if relay == n.Exit {
		inner4, inner6 = "10.65.0.0/24", "fd65::/64"
	}
	n.Internet.Via(now.V4.String(), inner4)
	n.Internet.Via(now.V6.String(), inner6)
}
