package lookup

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestReadHosts(t *testing.T) {
	const file = `
127.0.0.1	localhost
# 192.0.2.1 gw
192.0.2.2 gw.example gw # the gateway
2001:db8::2 gw gw
192.0.2.2 gw
::ffff:192.0.2.3 gw
192.0.2.4
not-an-address gw
192.0.2.5 gateway	other
fe80::1%eth0 local`
	for name, want := range map[string][]netip.Addr{
		"gw":         addrs("192.0.2.2", "192.0.2.3", "2001:db8::2"),
		"GW":         addrs("192.0.2.2", "192.0.2.3", "2001:db8::2"),
		"gw.":        addrs("192.0.2.2", "192.0.2.3", "2001:db8::2"),
		"gw.example": addrs("192.0.2.2"),
		"other":      addrs("192.0.2.5"),
		"local":      addrs("fe80::1%eth0"),
		"localhost":  addrs("127.0.0.1"),
		"the":        nil, // in a comment
		"192.0.2.4":  nil,
		"g":          nil,
	} {
		if got := readHosts(strings.NewReader(file), name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	long := strings.Repeat("x", 1<<17) + "\n192.0.2.1 gw\n"
	if got := readHosts(strings.NewReader("192.0.2.2 gw\n"+long), "gw"); !slices.Equal(got, addrs("192.0.2.2")) {
		t.Errorf("before a line that is too long: %v", got)
	}
	if got := hosts("/nonexistent/hosts", "gw"); got != nil {
		t.Errorf("without a file: %v", got)
	}
}

// Whatever the file says, each address is valid and none is there twice.
func FuzzReadHosts(f *testing.F) {
	f.Add("192.0.2.2 gw.example gw # the gateway\n2001:db8::2 gw", "gw")
	f.Add("::ffff:192.0.2.3\tGW", "gw.")
	f.Fuzz(func(t *testing.T, file, name string) {
		got := readHosts(strings.NewReader(file), name)
		if len(got) > 2*maxAddrs {
			t.Fatalf("%d addresses", len(got))
		}
		for i, a := range got {
			if !a.IsValid() || a.Is4In6() || slices.Contains(got[:i], a) {
				t.Fatalf("addresses %v", got)
			}
		}
	})
}
