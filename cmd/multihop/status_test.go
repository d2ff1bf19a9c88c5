package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"multihop/internal/control"
	"multihop/router"
)

var testNow = time.Date(2026, 5, 4, 3, 2, 1, 500_000_000, time.UTC)

func TestAgo(t *testing.T) {
	tests := []struct {
		before time.Duration
		want   string
	}{
		{0, "Now"},
		{400 * time.Millisecond, "Now"},
		{time.Second, "1 second ago"},
		{64 * time.Second, "1 minute, 4 seconds ago"},
		{2 * time.Hour, "2 hours ago"},
		{25*time.Hour + 61*time.Second, "1 day, 1 hour, 1 minute, 1 second ago"},
		{(2*365 + 3) * 24 * time.Hour, "2 years, 3 days ago"},
		{-2 * time.Second, "(System clock wound backward; connection problems may ensue.)"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if got := ago(testNow.Add(-tt.before), testNow); got != tt.want {
				t.Errorf("%v before: %q, want %q", tt.before, got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		n    uint64
		want string
	}{
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.00 KiB"},
		{1268776, "1.21 MiB"},
		{3 << 30, "3.00 GiB"},
		{1 << 40, "1.00 TiB"},
		{1<<64 - 1, "16777216.00 TiB"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if got := size(tt.n); got != tt.want {
				t.Errorf("%d: %q, want %q", tt.n, got, tt.want)
			}
		})
	}
}

func TestWriteStatus(t *testing.T) {
	addrs := func(s ...string) (out []netip.Addr) {
		for _, a := range s {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	s := control.Status{Status: router.Status{
		TUN: "mh0", Addrs: addrs("10.64.0.2", "fd00::2"), MTU: 1420, Read: 12, Wrote: 34,
		Drops: map[string]uint64{"no_route": 3, "multicast": 1, "source": 0},
		Hops: []router.HopStatus{
			{
				Name: "entry", PublicKey: "ENTRY", ListenPort: 51820, Addrs: addrs("10.64.0.2"), MTU: 1420, In: 5, Out: 6,
				Peers: []router.PeerStatus{{
					PublicKey: "RELAY", Preshared: true, Endpoint: "192.0.2.1:51820",
					AllowedIPs:      []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
					LatestHandshake: testNow.Add(-64 * time.Second), RxBytes: 1268776, TxBytes: 3166699, Keepalive: 25 * time.Second,
				}},
			},
			{
				Name: "exit", Via: "entry", Down: true, Reason: "carrier entry is down", PublicKey: "EXIT", MTU: 1360,
				Drops: map[string]uint64{"spoof": 2},
				Peers: []router.PeerStatus{{PublicKey: "FAR"}},
			},
		},
	}}
	s.Profile = "office"
	s.Host = control.Host{
		Table: "52820", Mark: 52820, KillSwitch: true, LAN: true, IPv6: "direct",
		Exclude:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		DNS:      []control.Resolver{{Addr: netip.MustParseAddr("10.64.0.1"), Hop: "exit"}, {Addr: netip.MustParseAddr("9.9.9.9")}},
		Search:   []string{"corp.example"},
		Warnings: []string{"wg0: its packets to 198.51.100.1:51820 go into mh0: FwMark = 0xce54 in its file mends it"},
	}
	want := `tun: mh0
  profile: office
  addresses: 10.64.0.2, fd00::2
  mtu: 1420
  packets: 12 read, 34 written
  drops: multicast 1, no_route 3
  table: 52820
  fwmark: 0xce54
  kill switch: on
  lan: allowed
  ipv6: direct
  excluded: 192.0.2.0/24, 2001:db8::/32
  dns: 10.64.0.1 via exit, 9.9.9.9, corp.example
  warning: wg0: its packets to 198.51.100.1:51820 go into mh0: FwMark = 0xce54 in its file mends it

hop: entry
  public key: ENTRY
  private key: (hidden)
  listening port: 51820
  carrier: host
  state: up
  addresses: 10.64.0.2
  mtu: 1420
  packets: 5 in, 6 out

peer: RELAY
  preshared key: (hidden)
  endpoint: 192.0.2.1:51820
  allowed ips: 0.0.0.0/0, ::/0
  latest handshake: 1 minute, 4 seconds ago
  transfer: 1.21 MiB received, 3.02 MiB sent
  persistent keepalive: every 25 seconds

hop: exit
  public key: EXIT
  private key: (hidden)
  carrier: entry
  state: down: carrier entry is down
  addresses: (none)
  mtu: 1360
  packets: 0 in, 0 out
  drops: spoof 2

peer: FAR
  allowed ips: (none)
`
	var got strings.Builder
	if err := writeStatus(&got, s, testNow); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWriteExplanation(t *testing.T) {
	tests := []struct {
		name string
		e    router.Explanation
		want string
	}{
		{"delivered", router.Explanation{
			Dst: netip.MustParseAddr("203.0.113.9"), Route: netip.MustParsePrefix("203.0.113.0/24"), Rule: "exits", OnDown: "fallback", Backup: "entry", Size: 1500, Pieces: 2,
			Src: netip.MustParseAddr("10.64.0.2"), NAT: netip.MustParseAddr("10.65.0.2"), MTU: 1360,
			Path: []router.ExplainedHop{
				{Name: "entry", Endpoint: "192.0.2.1:51820", MTU: 1420, Overhead: 60, LatestHandshake: testNow.Add(-time.Second)},
				{Name: "exit", Group: "exits", MTU: 1360, Overhead: 80},
			},
		}, `destination: 203.0.113.9
  route: 203.0.113.0/24
  to: exits, on down fallback: entry stands in
  hops: entry > exit
  source: 10.64.0.2
  translated to: 10.65.0.2
  size: 1500
  mtu: 1360
  fragments: 2
  verdict: delivered

hop: entry
  state: up
  endpoint: 192.0.2.1:51820
  mtu: 1420, and adds 60
  latest handshake: 1 second ago

hop: exit
  chosen by: group exits
  state: up
  mtu: 1360, and adds 80
  latest handshake: (none yet)
`},
		{"no route", router.Explanation{Dst: netip.MustParseAddr("::1"), Drop: "no_route"}, `destination: ::1
  route: (none)
  verdict: dropped as no_route
`},
		{"down", router.Explanation{
			Dst: netip.MustParseAddr("10.0.0.1"), Route: netip.MustParsePrefix("10.0.0.0/8"), Rule: "entry", Drop: "down", Reason: "taken down",
			Path: []router.ExplainedHop{{Name: "entry", MTU: 1420, Overhead: 60, Down: true, Reason: "taken down"}},
		}, `destination: 10.0.0.1
  route: 10.0.0.0/8
  to: entry
  hops: entry
  verdict: dropped as down: taken down

hop: entry
  state: down: taken down
  mtu: 1420, and adds 60
  latest handshake: (none yet)
`},
		{"no endpoint", router.Explanation{
			Dst: netip.MustParseAddr("10.0.0.1"), Route: netip.MustParsePrefix("10.0.0.0/8"), Rule: "entry", Waits: "hop entry: its peer was not heard yet",
			Path: []router.ExplainedHop{{Name: "entry", MTU: 1420, Overhead: 80, Waits: "its peer was not heard yet"}},
		}, `destination: 10.0.0.1
  route: 10.0.0.0/8
  to: entry
  hops: entry
  verdict: not sent yet: hop entry: its peer was not heard yet. It waits for up to 90 s, then it is dropped as device_out, or at once as no_session if many wait

hop: entry
  state: up
  endpoint: (none yet)
  mtu: 1420, and adds 80
  latest handshake: (none yet)
`},
		{"from a hop", router.Explanation{
			Dst: netip.MustParseAddr("10.64.0.2"), Src: netip.MustParseAddr("9.9.9.9"), From: "entry", Link: "exit",
			Route: netip.MustParsePrefix("0.0.0.0/0"),
		}, `destination: 10.64.0.2
  from: the peer of entry
  route: 0.0.0.0/0
  to: (none: it rejects)
  source: 9.9.9.9
  taken by: exit
  verdict: delivered
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got strings.Builder
			if err := writeExplanation(&got, tt.e, testNow); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
