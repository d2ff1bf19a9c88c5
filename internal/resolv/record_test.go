package resolv

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var byAddr = cmpopts.EquateComparable(netip.Addr{})

func addrs(list ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func TestLines(t *testing.T) {
	s := Settings{Link: "mh0", Servers: addrs("10.64.0.1", "fd00::1"), Search: []string{"corp.example"}, Default: true}
	tests := []struct {
		name     string
		record   Record
		up, down string
	}{
		{"resolved", Record{Settings: s, Resolved: true, Index: 7},
			"resolvectl dns mh0 10.64.0.1 fd00::1\n" +
				"resolvectl domain mh0 corp.example ~.\n" +
				"resolvectl default-route mh0 true",
			"resolvectl revert mh0"},
		{"resolved, domains only", Record{Settings: Settings{Link: "mh0", Servers: s.Servers, Search: s.Search}, Resolved: true},
			"resolvectl dns mh0 10.64.0.1 fd00::1\n" +
				"resolvectl domain mh0 corp.example\n" +
				"resolvectl default-route mh0 false",
			"resolvectl revert mh0"},
		{"resolvconf", Record{Settings: s, Resolvconf: "tun.mh0"},
			`printf 'nameserver 10.64.0.1\nnameserver fd00::1\nsearch corp.example\n' | resolvconf -a tun.mh0 -m 0 -x`,
			"resolvconf -d tun.mh0 -f"},
		{"file", Record{Settings: Settings{Link: "mh0", Servers: s.Servers[:1]}, File: &Original{}},
			`printf 'nameserver 10.64.0.1\n' > /etc/resolv.conf`,
			"restore /etc/resolv.conf"},
		{"nothing", Record{}, "", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(tt.record.Lines(), "\n"); got != tt.up {
			t.Errorf("%s: up:\n%s\nwant\n%s", tt.name, got, tt.up)
		}
		if got := strings.Join(tt.record.UndoLines(), "\n"); got != tt.down {
			t.Errorf("%s: down:\n%s\nwant\n%s", tt.name, got, tt.down)
		}
	}
}

func TestRecordJSON(t *testing.T) {
	want := Record{
		Settings:   Settings{Link: "mh0", Servers: addrs("10.64.0.1", "fe80::1%mh0"), Search: []string{"a.example"}, Default: true},
		Resolved:   true,
		Index:      7,
		Resolvconf: "tun.mh0",
		File:       &Original{Symlink: "../run/resolv.conf", Content: []byte("\xff\x00<&>\n"), Mode: 0o640, UID: 1, GID: 2},
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Record
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, byAddr); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", b, diff)
	}
}

func TestWarnings(t *testing.T) {
	four := addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	for _, tt := range []struct {
		name   string
		record Record
		want   string // part of each
	}{
		{"resolved", Record{Settings: Settings{Servers: four, Search: []string{"a.example"}}, Resolved: true}, ""},
		{"domains", Record{Settings: Settings{Servers: four[:1], Search: []string{"a.example"}}, File: &Original{}}, "names of all domains are asked of 10.0.0.1"},
		{"servers", Record{Settings: Settings{Servers: four}, Resolvconf: "mh0"}, "first 3"},
	} {
		got := strings.Join(tt.record.warnings(), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
