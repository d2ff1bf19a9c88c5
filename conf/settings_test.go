package conf

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// equate compares what has unexported fields.
func equate() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

// TestSettingsSet gives each setting to a key and to its flag.
func TestSettingsSet(t *testing.T) {
	for _, tt := range []struct {
		key, flag string
		values    []string
		want      Settings
	}{
		{"Address", "address", []string{"10.0.0.2/24, fd00::2"}, Settings{Addrs: addrs("10.0.0.2", "fd00::2")}},
		{"DNS", "dns", []string{"exit", "10.64.0.1 via exit, 192.0.2.53 ~corp.example lan."}, Settings{DNS: []DNS{
			{Name: "exit"}, {Addr: netip.MustParseAddr("10.64.0.1"), Via: "exit"},
			{Addr: netip.MustParseAddr("192.0.2.53")}, {Name: "~corp.example"}, {Name: "lan."},
		}}},
		{"DNS", "dns", []string{"OFF"}, Settings{DNS: []DNS{{Off: true}}}},
		{"Table", "table", []string{"0x10"}, Settings{Table: "16"}},
		{"Table", "table", []string{"OFF"}, Settings{Table: "off"}},
		{"Table", "table", []string{"auto"}, Settings{Table: "auto"}},
		{"FwMark", "fwmark", []string{"0xca6c"}, Settings{FwMark: 51820}},
		{"FwMark", "fwmark", []string{"off"}, Settings{}},
		{"MTU", "mtu", []string{"1280"}, Settings{MTU: 1280}},
		{"LAN", "lan", []string{"Allow"}, Settings{LAN: Yes}},
		{"LAN", "lan", []string{"deny"}, Settings{LAN: No}},
		{"KillSwitch", "kill-switch", []string{"YES"}, Settings{KillSwitch: Yes}},
		{"KillSwitch", "kill-switch", []string{"no"}, Settings{KillSwitch: No}},
		{"IPv6", "ipv6", []string{"direct"}, Settings{IPv6Direct: true}},
		{"Exclude", "exclude", []string{"192.168.7.1/24 203.0.113.9", "fd00::/8"}, Settings{Exclude: prefixes("192.168.7.0/24", "203.0.113.9/32", "fd00::/8")}},
		{"Netns", "netns", []string{"work-1"}, Settings{Netns: "work-1"}},
		{"PreUp", "pre-up", []string{"a # b", ""}, Settings{PreUp: []Hook{{Command: "a # b"}}}},
		{"PostUp", "post-up", []string{"a", "b"}, Settings{PostUp: []Hook{{Command: "a"}, {Command: "b"}}}},
		{"PreDown", "pre-down", []string{"a"}, Settings{PreDown: []Hook{{Command: "a"}}}},
		{"PostDown", "post-down", []string{"a"}, Settings{PostDown: []Hook{{Command: "a"}}}},
	} {
		for _, name := range []string{tt.key, strings.ToUpper(tt.key), "--" + tt.flag} {
			var s Settings
			for _, v := range tt.values {
				if err := s.Set(name, v); err != nil {
					t.Errorf("%s %s: %v", name, v, err)
				}
			}
			if diff := cmp.Diff(tt.want, s, equate()); diff != "" {
				t.Errorf("%s %q (-want +got):\n%s", name, tt.values, diff)
			}
		}
	}
}

// TestSettingList: every setting has a test above, and a usage for its flag.
func TestSettingList(t *testing.T) {
	for _, s := range SettingList() {
		if s.Key == "" || s.Flag == "" || strings.Count(s.Usage, "`") != 2 {
			t.Errorf("incomplete: %q, %q, %q", s.Key, s.Flag, s.Usage)
		}
		if strings.EqualFold(s.Flag, s.Key) != (s.Flag == strings.ToLower(s.Key)) {
			t.Errorf("%s: flag %s", s.Key, s.Flag)
		}
	}
	if n := len(SettingList()); n != 14 {
		t.Errorf("%d settings, want 14", n)
	}
}

func TestSettingsErrors(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"--lan", "maybe", `--lan: "maybe" is neither allow nor deny`},
		{"LAN", "maybe", `"maybe" is neither allow nor deny`},
		{"--kill-switch", "", `--kill-switch: "" is neither yes nor no`},
		{"--ipv6", "off", `--ipv6: "off" is not direct: leave the setting out, and IPv6 is unreachable beside an IPv4 default route`},
		{"--exclude", "lan", `--exclude: "lan" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"--exclude", strings.Repeat("10.0.0.1,", maxExclude+1), "--exclude: more than 1024 prefixes"},
		{"--netns", "../x", `--netns: "../x" is not a namespace's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, the first neither . nor -`},
		{"--netns", ".", `--netns: "." is not a namespace's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, the first neither . nor -`},
		{"--netns", "", `--netns: "" is not a namespace's name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-, the first neither . nor -`},
		{"--mtu", "60", "--mtu: 60 is less than any interface takes, 68"},
		{"--mtu", "65536", `--mtu: "65536" is not a number from 0 to 65535`},
		{"--table", "of", `--table: "of" is not a number from 0 to 4294967295, auto or off`},
		{"--fwmark", "-1", `--fwmark: "-1" is not a number from 0 to 4294967295, or off`},
		{"--address", "127.0.0.1", "--address: 127.0.0.1 cannot be a tunnel's address"},
		{"--address", "10.0.0.1, 10.0.0.2", "--address: 10.0.0.2 is a second address of its family (the first is 10.0.0.1): keep one"},
		{"--dns", "1.2.3", `--dns: "1.2.3" is not the address of a resolver behind a hop`},
		{"--dns", "::1", `--dns: "::1" is not the address of a resolver behind a hop`},
		{"--dns", "fe80::1%eth0", `--dns: "fe80::1%eth0" is not the address of a resolver behind a hop`},
		{"--dns", "via exit", "--dns: via stands after an address: ADDRESS via HOP"},
		{"--dns", "10.0.0.1 via", "--dns: 10.0.0.1 via: want the name of a hop after it"},
		{"--dns", "off, exit", "--dns: off stands alone"},
		{"--dns", "a/b", `--dns: "a/b" is neither an address, nor a hop, nor a search domain`},
		{"--dns", strings.Repeat("a.b,", maxDNS+1), "--dns: more than 64 entries"},
		{"--no", "", "--no: no such setting"},
		{"No", "", "No: no such setting"},
	} {
		var s Settings
		if err := s.Set(tt.name, tt.value); err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	var s Settings
	for range maxHooks {
		if err := s.Set("--post-up", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set("--pre-up", "a"); err == nil || err.Error() != "--pre-up: more than 256 commands" {
		t.Errorf("got %v", err)
	}
}

// TestSettingsMerge: what flags say wins, setting by setting.
func TestSettingsMerge(t *testing.T) {
	every := func(values ...string) (s Settings) {
		t.Helper()
		for i, st := range SettingList() {
			if err := s.Set(st.Key, values[i]); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	a := every("10.0.0.1", "a.b", "1", "1", "1280", "allow", "yes", "direct", "10.0.0.0/8", "a", "a", "a", "a", "a")
	b := every("10.0.0.2", "c.d", "2", "2", "1300", "deny", "no", "direct", "10.9.0.0/16", "b", "b", "b", "b", "b")
	for _, tt := range []struct {
		name          string
		s, over, want Settings
	}{
		{"nothing", Settings{}, Settings{}, Settings{}},
		{"all of it", a, b, b},
		{"none of it", a, Settings{}, a},
		{"only flags", Settings{}, b, b},
	} {
		if diff := cmp.Diff(tt.want, tt.s.Merge(tt.over), equate()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestChoice(t *testing.T) {
	for _, tt := range []struct {
		c        Choice
		s        string
		yes, not bool // Or(true), Or(false)
	}{{Default, "default", true, false}, {Yes, "yes", true, true}, {No, "no", false, false}} {
		if tt.c.String() != tt.s || tt.c.Or(true) != tt.yes || tt.c.Or(false) != tt.not {
			t.Errorf("%v: %t, %t", tt.c, tt.c.Or(true), tt.c.Or(false))
		}
	}
}
