package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"multihop/router"
)

// names is a resolver with these names; the host reaches IPv4 only.
func names(table map[string]string) *resolver {
	return &resolver{
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			list, ok := table[host]
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53"}
			}
			var out []netip.Addr
			for _, s := range strings.Fields(list) {
				out = append(out, netip.MustParseAddr(s))
			}
			return out, nil
		},
		reaches: netip.Addr.Is4,
	}
}

func TestResolve(t *testing.T) {
	table := map[string]string{
		"both.example":   "2001:db8::7 192.0.2.7 198.51.100.7",
		"six.example":    "2001:db8::7",
		"mapped.example": "::ffff:192.0.2.7",
		"empty.example":  "",
	}
	tests := []struct {
		name                string
		via                 string
		addrs, allowed      string // the carrier's
		endpoint, want, err string
		warned              bool
	}{
		{name: "an address stays", endpoint: "192.0.2.1:51820", want: "192.0.2.1:51820"},
		{name: "an IPv6 address stays", endpoint: "[2001:db8::1]:51820", want: "[2001:db8::1]:51820"},
		{name: "learned", endpoint: "", want: ""},
		{name: "what the host reaches", endpoint: "both.example:1", want: "192.0.2.7:1"},
		{name: "unreachable now", endpoint: "six.example:1", want: "[2001:db8::7]:1"},
		{name: "IPv4 in IPv6", endpoint: "mapped.example:1", want: "192.0.2.7:1"},
		{name: "unknown", endpoint: "nosuch.example:1", err: "hop h: endpoint nosuch.example: cannot look its name up: no such host"},
		{name: "no address", endpoint: "empty.example:1", err: "has no address"},
		{name: "the carrier's family", via: "c", addrs: "10.0.0.2", allowed: "0.0.0.0/0", endpoint: "both.example:1", want: "192.0.2.7:1", warned: true},
		{name: "the carrier's other family", via: "c", addrs: "fd00::2", allowed: "::/0", endpoint: "both.example:1", want: "[2001:db8::7]:1", warned: true},
		{name: "what the carrier lets through", via: "c", addrs: "10.0.0.2", allowed: "198.51.100.0/24", endpoint: "both.example:1", want: "198.51.100.7:1", warned: true},
		{name: "nothing that the carrier lets through", via: "c", addrs: "10.0.0.2", allowed: "10.0.0.0/8", endpoint: "both.example:1", want: "192.0.2.7:1", warned: true},
		{name: "no common family", via: "c", addrs: "10.0.0.2", allowed: "0.0.0.0/0", endpoint: "six.example:1", err: "none of its addresses (2001:db8::7) is of a family that its carrier c has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &router.Config{Hops: []router.Hop{
				{Name: "c", Peers: []router.Peer{{}}},
				{Name: "h", Via: tt.via, Peers: []router.Peer{{Endpoint: tt.endpoint}}},
			}}
			if tt.via != "" {
				cfg.Hops[0].Addrs = []netip.Addr{netip.MustParseAddr(tt.addrs)}
				cfg.Hops[0].Peers[0].AllowedIPs = []netip.Prefix{netip.MustParsePrefix(tt.allowed)}
			}
			warnings, err := names(table).resolve(t.Context(), cfg)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Hops[1].Peers[0].Endpoint; got != tt.want {
				t.Errorf("endpoint %q, want %q", got, tt.want)
			}
			if (len(warnings) == 1) != tt.warned {
				t.Errorf("warnings %q, want some: %v", warnings, tt.warned)
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
