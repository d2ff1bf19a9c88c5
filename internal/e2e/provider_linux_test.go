package e2e_test

import (
	"net/netip"
	"testing"
	"time"

	"multihop/internal/e2e"
)

// public is everything but private ranges, as providers' generators write it.
func public() []string {
	return []string{
		"0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
		"64.0.0.0/2", "128.0.0.0/3", "160.0.0.0/5", "168.0.0.0/6", "172.0.0.0/12",
		"172.32.0.0/11", "172.64.0.0/10", "172.128.0.0/9", "173.0.0.0/8", "174.0.0.0/7",
		"176.0.0.0/4", "192.0.0.0/9", "192.128.0.0/11", "192.160.0.0/13", "192.169.0.0/16",
		"192.170.0.0/15", "192.172.0.0/14", "192.176.0.0/12", "192.192.0.0/10", "193.0.0.0/8",
		"194.0.0.0/7", "196.0.0.0/6", "200.0.0.0/5", "208.0.0.0/4",
	}
}

// TestProviderChains runs chains of files as providers write them. Longest
// prefix alone would send a part of the traffic out at the entry; nothing may
// leave there, in either family. The kernel's routes are the test's own.
func TestProviderChains(t *testing.T) {
	halves := []string{"0.0.0.0/1", "128.0.0.0/1"}
	both := []string{"0.0.0.0/0", "::/0"}
	tests := []struct {
		name        string
		entry, exit []string
		v6          bool // has IPv6 through the exit
		v4only      bool // the files have IPv4 addresses only
	}{
		{"entry all, exit IPv4", both, []string{"0.0.0.0/0"}, false, false},
		{"entry all, exit IPv4, IPv4 addresses", both, []string{"0.0.0.0/0"}, false, true},
		{"entry all, exit all, IPv4 addresses", both, both, false, true},
		{"entry halves, exit IPv4", halves, []string{"0.0.0.0/0"}, false, false},
		{"entry all, exit halves", both, halves, false, false},
		{"entry public, exit public", public(), public(), false, false},
		{"entry all, exit public", both, public(), false, false},
		{"entry public, exit all", public(), both, true, false},
		{"entry all, exit all", both, both, true, false},
	}
	n := newNetwork(t)
	r := n.StartRelays(t, e2e.RelayOptions{})
	like := e2e.NearAddr().V4
	nobody := e2e.Pair{V4: netip.MustParseAddr("9.9.9.9"), V6: netip.MustParseAddr("2620:fe::fe")}

	t.Run("detector", func(t *testing.T) {
		w := n.Watch(t, r, like, e2e.WatchOptions{})
		w.Prove(t)
		i := n.Run(t, e2e.Chain{
			Entry: r.EntryConf(like, both...), Exit: r.ExitConf(like, both...),
			Routes: []string{"entry=203.0.113.0/25", "203.0.113.128/25"},
		})
		reaches(t, n, e2e.FarAddr().V4, e2e.Inner().V4)
		if w.Seen(t) != 0 {
			t.Error("traffic through the exit is taken for a leak")
		}
		reaches(t, n, e2e.NearAddr().V4, e2e.Outer().V4)
		if w.Seen(t) == 0 {
			t.Error("traffic that leaves at the entry is not seen")
		}
		_ = i.Stop()
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entry, exit := r.EntryConf(like, tt.entry...), r.ExitConf(like, tt.exit...)
			if tt.v4only {
				entry.Addrs, exit.Addrs = entry.Addrs[:1], exit.Addrs[:1]
			}
			w := n.Watch(t, r, like, e2e.WatchOptions{Back: append(e2e.NearAddr().Both(), nobody.Both()...)})
			w.Prove(t)
			i := n.Run(t, e2e.Chain{Entry: entry, Exit: exit, TableOff: true})
			n.Client.Onto(i.Name, "203.0.113.0/24", "9.9.9.0/24", "2001:db8:3::/64", "2001:db8:4::/64", "2620:fe::/48")
			for _, addr := range []e2e.Pair{e2e.FarAddr(), e2e.NearAddr()} {
				reaches(t, n, addr.V4, e2e.Inner().V4)
				if tt.v6 {
					reaches(t, n, addr.V6, e2e.Inner().V6)
				}
			}
			if !tt.v6 {
				unreachable(t, n, e2e.FarAddr().V6, e2e.NearAddr().V6)
				rejected(t, n, e2e.FarAddr().V6)
			}
			for _, addr := range nobody.Both() {
				if got, _, _ := n.Client.Ping(addr, 3, 100, 200*time.Millisecond); got != 0 {
					t.Errorf("%v answered", addr)
				}
			}
			w.Check(t)
			_ = i.Stop()
		})
	}
}
