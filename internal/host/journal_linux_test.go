package host

import (
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"testing"

	"multihop/internal/firewall"
	"multihop/internal/resolv"
)

// journaled returns a journal with every kind of change.
func journaled(dir string) *journal {
	return &journal{path: dir + "/mh0.json", Name: "mh0", Index: 4, Netns: "apart", Mark: 1, Table: 2, Slot: 3,
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Changes: entries{
			&namespace{"apart"},
			&wall{firewall.Config{Table: "multihop-mh0", TUN: "mh0", KillSwitch: true, Mark: 1, Others: []firewall.Other{{Mark: 2}}, Exclude: parse("10.0.0.0/8"),
				Endpoints: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:5")}}},
			&sysctl{Path: "net/ipv4/conf/all/arp_ignore", Value: "1", Before: "0"},
			&linkMTU{1420, 1500}, &address{netip.MustParseAddr("fd00::2")}, &linkUp{}, &place{2, true, lastMetric},
			&rule{true, 3201, 1, true, 2},
			&dns{resolv.Record{Settings: resolv.Settings{Link: "mh0", Servers: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}}},
		}}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir() + "/run"
	j := journaled(dir)
	must(t, j.write())
	got, err := readJournal(dir, "mh0")
	must(t, err)
	if !reflect.DeepEqual(j, got) {
		t.Errorf("read %+v, want %+v", got, j)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, j.path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	must(t, j.put(&linkMTU{1300, 1500}))
	must(t, j.remove(&rule{V6: true, Priority: 3201}))
	got, err = readJournal(dir, "mh0")
	must(t, err)
	if len(got.Changes) != 8 || *got.Changes[3].(*linkMTU) != (linkMTU{1300, 1500}) {
		t.Errorf("after changes: %+v", got.Changes)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left beside the journal: %v", files)
	}
	// What went with the TUN is forgotten.
	got.forgetTUN(5)
	if len(got.Changes) != 5 {
		t.Errorf("without the TUN: %+v", got.Changes)
	}
}

func FuzzJournal(f *testing.F) {
	b, err := json.Marshal(journaled(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"Changes":[{"Rule":{}},{"Sysctl":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var j journal
		if json.Unmarshal(b, &j) != nil {
			return
		}
		for _, c := range undoOrder(j.Changes) {
			_ = c.key()
		}
		if _, err := json.Marshal(&j); err != nil {
			t.Errorf("cannot be written again: %v", err)
		}
	})
}
