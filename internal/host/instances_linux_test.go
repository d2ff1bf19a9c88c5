package host

import (
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
)

// second returns the configuration of another instance.
func second(c Config) Config {
	c.Name = "mh1"
	c.Addrs = []netip.Addr{netip.MustParseAddr("10.66.0.2"), netip.MustParseAddr("fd01::2")}
	c.Tunnel = c.Addrs
	return c
}

// Several instances share a host: numbers do not collide, the settings of the
// kernel come back with the last one, in whichever order they end.
func TestInstances(t *testing.T) {
	tests := []struct {
		name       string
		firstFirst bool // the first one ends first
		crash      bool // the other is killed, and cleaned up
	}{{"in order", true, false}, {"in reverse", false, false}, {"in order, killed", true, true}, {"in reverse, killed", false, true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needTools(t)
			newHost(t)
			addTUN(t, "mh1")
			before := told(t)
			dir := t.TempDir()
			a, b := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
			apply(t, a, fullConfig())
			apply(t, b, second(fullConfig()))
			if s := b.Status(); s.Mark != 52821 || s.Table != 52821 || s.Priority != 3202 {
				t.Errorf("the second instance has %+v", s)
			}
			is := told(t)
			for _, want := range []string{"table inet multihop-mh0", "table inet multihop-mh1", "3203:\tnot from all fwmark 0xce55 lookup 52821"} {
				if !strings.Contains(is, want) {
					t.Errorf("there is no %q", want)
				}
			}
			ends, stays := a, b
			if !tt.firstFirst {
				ends, stays = b, a
			}
			must(t, ends.Close())
			for _, s := range []string{"src_valid_mark", "arp_ignore"} {
				if v, err := os.ReadFile("/proc/sys/net/ipv4/conf/all/" + s); err != nil || string(v) != "1\n" {
					t.Errorf("%s is %q, %v, while an instance needs it", s, v, err)
				}
			}
			if tt.crash {
				must(t, stays.Release())
				must(t, Clean(stays.k.tun, &Options{Dir: dir}))
			} else {
				must(t, stays.Close())
			}
			sameState(t, before)
		})
	}
}

// Prefixes of an instance in the table main stay its own beside one that has the
// default, and when it is killed they go nowhere.
func TestInstanceBesideDefault(t *testing.T) {
	newHost(t)
	addTUN(t, "mh1")
	dir := t.TempDir()
	a, b := openHost(t, dir), openHostAs(t, "mh1", &Options{Dir: dir})
	split := second(config("10.40.0.0/16"))
	apply(t, b, split)
	apply(t, a, fullConfig())
	wantWayOut(t, "10.40.0.1", 0, "mh1")
	wantWayOut(t, "9.9.9.9", 0, "mh0")
	if w := a.journal.Changes[a.journal.index("wall")].(*wall); len(w.TUNs) != 1 || w.TUNs[0] != "mh1" {
		t.Errorf("the firewall lets packets into %q", w.TUNs)
	}
	must(t, b.Release())
	must(t, netlink.LinkDel(link(t, "mh1")))
	a.follow()
	wantWayOut(t, "10.40.0.1", 0, "")
	must(t, Clean("mh1", &Options{Dir: dir}))
	a.follow()
	wantWayOut(t, "10.40.0.1", 0, "mh0")
}

func TestChoose(t *testing.T) {
	newHost(t)
	rule := netlink.NewRule()
	rule.Priority, rule.Mark, rule.Table = 3200, 52820, 52821
	must(t, netlink.RuleAdd(rule)) // somebody else's
	must(t, netlink.RouteAdd(&netlink.Route{Table: 52822, LinkIndex: link(t, "eth0").Attrs().Index, Dst: ipNet(netip.MustParsePrefix("9.0.0.0/8"))}))
	dir := t.TempDir()
	tests := []struct {
		name        string
		config      func() Config
		mark, table uint32
		slot        int
	}{
		{"the first that is free", fullConfig, 52823, 52823, 2},
		{"a given mark", func() Config { c := fullConfig(); c.Mark = 77; return c }, 77, 77, 2},
		{"a given mark whose table is taken", func() Config { c := fullConfig(); c.Mark = 52821; return c }, 52821, 52823, 2},
		{"a given mark that is no table", func() Config { c := fullConfig(); c.Mark = 254; return c }, 254, 52823, 2},
		{"none is needed", splitConfig, 0, 0, 2},
	}
	for _, tt := range tests {
		h := openHost(t, dir)
		c := tt.config()
		for range 2 { // the second time changes nothing
			must(t, h.Choose(&c))
		}
		if c.Mark != tt.mark || h.journal.Table != tt.table || h.journal.Slot != tt.slot {
			t.Errorf("%s: mark %d, table %d, slot %d; want %d, %d, %d", tt.name, c.Mark, h.journal.Table, h.journal.Slot, tt.mark, tt.table, tt.slot)
		}
		must(t, h.Release())
	}
	if files, _ := os.ReadDir(dir); len(files) > 1 { // the lock
		t.Errorf("left: %v", files)
	}

	// At the same time.
	names := []string{"a", "b", "c", "d", "e", "f"}
	hosts := make([]*Host, len(names))
	for i, n := range names {
		hosts[i] = openHostAs(t, n, &Options{Dir: dir})
	}
	marks := make([]uint32, len(names))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			c := fullConfig()
			c.Name = names[i]
			if err := h.Choose(&c); err != nil {
				t.Error(err)
			}
			marks[i] = c.Mark
		})
	}
	all.Wait()
	seen := map[uint32]bool{}
	for _, m := range marks {
		if m == 0 || seen[m] {
			t.Errorf("marks %v", marks)
		}
		seen[m] = true
	}
}
