package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"multihop/internal/control"
	"multihop/router"
)

// grove is the state of a router with two roots, a group and something down.
func grove() router.Status {
	peer := func(endpoint string, age time.Duration) []router.PeerStatus {
		p := router.PeerStatus{Endpoint: endpoint}
		if age > 0 {
			p.LatestHandshake = testNow.Add(-age)
		}
		return []router.PeerStatus{p}
	}
	return router.Status{
		TUN: "mh0", MTU: 1420,
		Hops: []router.HopStatus{
			{Name: "entry", MTU: 1420, Peers: peer("192.0.2.1:51820", 12*time.Second)},
			{Name: "exit-a", Via: "entry", MTU: 1360, Down: true, Reason: "taken down", Peers: peer("198.51.100.2:51820", 0)},
			{Name: "exit-b", Via: "entry", MTU: 1340, Peers: peer("198.51.100.3:51820", 64*time.Second)},
			{Name: "corp", Via: "exit-b", ViaGroup: "exits", MTU: 1280, Peers: peer("", 0)},
			{Name: "lab", MTU: 1420, Peers: peer("192.0.2.9:51820", 0)},
		},
		Groups: []router.GroupStatus{{
			Name: "exits", Active: "exit-b", Since: testNow.Add(-time.Minute), Reason: "hop exit-a is down: taken down",
			Hops: []router.MemberStatus{
				{Name: "exit-a", Health: router.HealthDown, Reason: "taken down"},
				{Name: "exit-b", Health: router.HealthGood, Heard: testNow.Add(-3 * time.Second)},
			},
		}},
		OnDown: []router.OnDownStatus{
			{Rule: "exits", OnDown: "fallback", Fallback: "entry"},
			{Rule: "lab", OnDown: "drop"},
			{Rule: "exit-a", OnDown: "fallback", Fallback: "entry", InUse: true},
		},
	}
}

func TestTree(t *testing.T) {
	s := grove()
	want := `mh0  mtu 1420
├─ entry  up  mtu 1420  handshake 12 seconds ago  192.0.2.1:51820
│  ├─ exit-a  down: taken down  mtu 1360  no handshake yet  198.51.100.2:51820  [exits: standby, down]
│  └─ exit-b  up  mtu 1340  handshake 1 minute, 4 seconds ago  198.51.100.3:51820  [exits: active, good]
│     └─ corp  up  mtu 1280  no handshake yet  (by group exits)
└─ lab  up  mtu 1420  no handshake yet  192.0.2.9:51820
`
	if got := treeOf(&s).draw(testNow); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestPlannedTree: of a profile that does not run.
func TestPlannedTree(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "office.conf")
	text := ""
	for _, h := range [][3]string{{"entry", "", "192.0.2.1"}, {"a", "Via = entry\nGroup = exits", "198.51.100.1"}, {"b", "Via = entry\nGroup = exits", "198.51.100.2"}, {"corp", "Via = exits\nRoutes = 10.0.0.0/8", "198.51.100.3"}} {
		text += "[Hop]\nName = " + h[0] + "\n" + h[1] + "\nPrivateKey = " + router.NewPrivateKey().Encode() + "\nAddress = 10.64.0.2\n" +
			"[Peer]\nPublicKey = " + router.NewPrivateKey().Public().Encode() + "\nEndpoint = " + h[2] + ":51820\nAllowedIPs = 0.0.0.0/0\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	trees, err := treesOf(t.Context(), t.TempDir(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	want := `(not running)  mtu 1420
└─ entry  mtu 1420  192.0.2.1:51820
   ├─ a  mtu 1360  198.51.100.1:51820  [exits: choice 1]
   │  └─ corp  mtu 1300  198.51.100.3:51820  (by group exits)
   └─ b  mtu 1360  198.51.100.2:51820  [exits: choice 2]
`
	if got := trees[0].draw(testNow); len(trees) != 1 || got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestWriteGroups: show says how groups are, and what stands in for what is down.
func TestWriteGroups(t *testing.T) {
	b := new(blocks)
	s := grove()
	b.group(s.Groups[0], s.OnDown, testNow)
	b.hop(s.Hops[1], s.OnDown, testNow)
	b.hop(s.Hops[3], s.OnDown, testNow)
	want := `group: exits
  active: exit-b
  switched: 1 minute ago: hop exit-a is down: taken down
  on down: entry
  member: exit-a, down: taken down
  member: exit-b, good, heard 3 seconds ago

hop: exit-a
  private key: (hidden)
  carrier: entry
  state: down: taken down
  on down: entry (stands in now)
  addresses: (none)
  mtu: 1360
  packets: 0 in, 0 out

peer: 
  endpoint: 198.51.100.2:51820
  allowed ips: (none)

hop: corp
  private key: (hidden)
  carrier: exit-b (of group exits)
  state: up
  addresses: (none)
  mtu: 1280
  packets: 0 in, 0 out

peer: 
  allowed ips: (none)
`
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRouteLine(t *testing.T) {
	all := netip.MustParsePrefix("0.0.0.0/0")
	path := []string{"entry", "exit"}
	for _, tt := range []struct {
		r    router.RouteStatus
		want string
	}{
		{router.RouteStatus{Prefix: all, Count: 1, Rule: "exit", OnDown: "reject", Origin: "allowed_ips", Hop: "exit", Path: path, MTU: 1360},
			"0.0.0.0/0 hop exit path entry > exit mtu 1360"},
		{router.RouteStatus{Count: 3, Rule: "exits", Group: true, OnDown: "drop", Origin: "routes", Hop: "exit", Path: path, MTU: 1360},
			"(3 prefixes) hop exit path entry > exit mtu 1360 group exits on-down drop origin routes"},
		{router.RouteStatus{Prefix: all, Count: 5, Rule: "corp", OnDown: "fallback", Fallback: "exit", Origin: "routes", Hop: "exit", Path: path, MTU: 1360},
			"0.0.0.0/0 (and 4 more prefixes) hop exit path entry > exit mtu 1360 for corp on-down exit origin routes"},
		{router.RouteStatus{Prefix: all, Count: 1, OnDown: "reject", Origin: "routes", Drop: "rejected", Reason: "its route rejects"},
			"0.0.0.0/0 origin routes dropped rejected: its route rejects"},
	} {
		if got := routeLine(tt.r); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestEventLine(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	for _, tt := range []struct {
		e    router.Event
		want string
	}{
		{router.Event{Kind: router.EventUp, Hop: "exit"}, "03:02:01 exit up"},
		{router.Event{Kind: router.EventDown, Hop: "exit", Reason: "its carrier entry is down"}, "03:02:01 exit down: its carrier entry is down"},
		{router.Event{Kind: router.EventHandshake, Hop: "exit"}, "03:02:01 exit handshake"},
		{router.Event{Kind: router.EventMTU, Hop: "exit", MTU: 1300}, "03:02:01 exit mtu 1300"},
		{router.Event{Kind: router.EventRoam, Hop: "exit", Peer: "KEY", Endpoint: netip.MustParseAddrPort("192.0.2.1:1")}, "03:02:01 exit roam: peer KEY is at 192.0.2.1:1"},
		{router.Event{Kind: router.EventResolved, Hop: "exit", Peer: "KEY", Endpoint: netip.MustParseAddrPort("192.0.2.1:1")}, "03:02:01 exit resolved: peer KEY may be at 192.0.2.1:1"},
		{router.Event{Kind: router.EventFailover, Hop: "b", Was: "a", Group: "exits", Reason: "hop a is down"}, "03:02:01 exits failover: from a to b: hop a is down"},
		{router.Event{Kind: router.EventRoutes, Prefixes: 7}, "03:02:01 routes changed: 7 prefixes"},
		{router.Event{Kind: router.EventDrops, Hop: "exit", Drop: "spoof", Count: 200}, "03:02:01 exit drops: spoof 200"},
		{router.Event{Kind: "lost", Count: 3}, "03:02:01 lost: 3 events were not read in time"},
		{router.Event{Kind: "new", Hop: "exit"}, "03:02:01 exit new"},
	} {
		tt.e.Time = at
		if got := eventLine(control.Event{Event: tt.e}); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
