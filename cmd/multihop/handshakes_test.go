package main

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"multihop/internal/control"
	"multihop/router"
)

func TestVerdictOn(t *testing.T) {
	heard := router.PeerStatus{LatestHandshake: time.Unix(1, 0)}
	hops := func(h ...router.HopStatus) control.Status {
		return control.Status{Status: router.Status{Hops: h}}
	}
	tests := []struct {
		name   string
		status control.Status
		err    error
		want   string
		code   int
	}{
		{"up", hops(router.HopStatus{Name: "a", Peers: []router.PeerStatus{heard}}, router.HopStatus{Name: "b", Peers: []router.PeerStatus{heard}}), nil,
			"mh0: running, 2 hops up", 0},
		{"one hop", hops(router.HopStatus{Name: "a", Peers: []router.PeerStatus{heard}}), nil, "mh0: running, 1 hop up", 0},
		{"down", hops(router.HopStatus{Name: "a", Down: true, Reason: "its socket failed", Peers: []router.PeerStatus{{}}}), nil,
			"mh0: running, but hop a is down: its socket failed", 1},
		{"no handshake, and a reason", hops(
			router.HopStatus{Name: "a", Peers: []router.PeerStatus{heard, {}}},
			router.HopStatus{Name: "b", Peers: []router.PeerStatus{{EndpointName: "x.example:1", EndpointError: "the name x.example does not exist"}}}), nil,
			"mh0: running, but hop a has had no handshake; hop b has had no handshake (the name x.example does not exist)", 1},
		{"not running", control.Status{}, control.ErrNotRunning, "mh0: not running", 3},
		{"stuck", control.Status{}, errors.New("mh0 does not answer"), "mh0 does not answer", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line, code := verdictOn("mh0", tt.status, tt.err)
			if line != tt.want || code != tt.code {
				t.Errorf("%q, %d; want %q, %d", line, code, tt.want, tt.code)
			}
		})
	}
}

func TestInsideOf(t *testing.T) {
	prefixes := func(list string) (out []netip.Prefix) {
		for _, s := range strings.Fields(list) {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	tests := []struct {
		name, own, allowed, want string
	}{
		{"nobody's", "10.64.0.2", "10.0.0.0/8 0.0.0.0/0", "240.0.0.9"},
		{"of the peer's prefix", "10.64.0.2", "203.0.113.0/24", "203.0.113.0"},
		{"of a family that the hop has", "10.64.0.2", "2001:db8::/32 203.0.113.0/24", "203.0.113.0"},
		{"nobody's, of IPv6", "fd00::2", "203.0.113.0/24 ::/0", "100::9"},
		{"IPv6", "fd00::2", "203.0.113.0/24 2001:db8::/32", "2001:db8::"},
		{"none", "10.64.0.2", "2001:db8::/32", "invalid IP"},
		{"nothing allowed", "10.64.0.2", "", "invalid IP"},
	}
	for _, tt := range tests {
		h := router.HopStatus{Addrs: addrs(tt.own)}
		got, ok := insideOf(h, router.PeerStatus{AllowedIPs: prefixes(tt.allowed)})
		if got.String() != tt.want || ok != got.IsValid() {
			t.Errorf("%s: %v, %v; want %s", tt.name, got, ok, tt.want)
		}
	}
}

func TestSilent(t *testing.T) {
	heard := router.PeerStatus{LatestHandshake: time.Unix(1, 0)}
	s := router.Status{Hops: []router.HopStatus{
		{Name: "a", Peers: []router.PeerStatus{heard}},
		{Name: "b", Peers: []router.PeerStatus{heard, {}}},
	}}
	if got := silent(s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("silent: %q, want b", got)
	}
}
