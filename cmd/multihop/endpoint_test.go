package main

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"multihop/router"
)

func TestPrefer(t *testing.T) {
	tests := []struct {
		name              string
		addrs, allowed    string // the carrier's; "": there is none, the host's network is
		found, want, fail string
	}{
		{name: "what the host reaches first", found: "2001:db8::7 192.0.2.7 198.51.100.7", want: "192.0.2.7, 198.51.100.7, 2001:db8::7"},
		{name: "unreachable now", found: "2001:db8::7", want: "2001:db8::7"},
		{name: "IPv4 in IPv6", found: "::ffff:192.0.2.7", want: "192.0.2.7"},
		{name: "the carrier's family", addrs: "10.0.0.2", allowed: "0.0.0.0/0", found: "2001:db8::7 192.0.2.7", want: "192.0.2.7"},
		{name: "the carrier's other family", addrs: "fd00::2", allowed: "::/0", found: "192.0.2.7 2001:db8::7", want: "2001:db8::7"},
		{name: "what the carrier lets through first", addrs: "10.0.0.2", allowed: "198.51.100.0/24", found: "192.0.2.7 198.51.100.7", want: "198.51.100.7, 192.0.2.7"},
		{name: "no common family", addrs: "10.0.0.2", allowed: "0.0.0.0/0", found: "2001:db8::7",
			fail: "none of its addresses (2001:db8::7) is of a family that its carrier c has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var found []netip.Addr
			for _, s := range strings.Fields(tt.found) {
				found = append(found, netip.MustParseAddr(s))
			}
			var via *router.Hop
			if tt.addrs != "" {
				via = &router.Hop{Name: "c", Addrs: []netip.Addr{netip.MustParseAddr(tt.addrs)},
					Peers: []router.Peer{{AllowedIPs: []netip.Prefix{netip.MustParsePrefix(tt.allowed)}}}}
			}
			got, err := prefer(found, via, netip.Addr.Is4)
			if tt.fail != "" {
				if err == nil || err.Error() != tt.fail {
					t.Errorf("error %v, want %q", err, tt.fail)
				}
				return
			}
			if err != nil || join(got) != tt.want {
				t.Errorf("%s, %v; want %s", join(got), err, tt.want)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"one", errors.New("a: b"), "a: b"},
		{"joined", errors.Join(errors.New("a"), errors.New("b")), "a; b"},
		{"cobra's suggestion", errors.New("unknown command \"chec\" for \"multihop\"\n\nDid you mean this?\n\tcheck\n"), `unknown command "chec" for "multihop"; Did you mean this? check`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := oneLine(tt.err); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
