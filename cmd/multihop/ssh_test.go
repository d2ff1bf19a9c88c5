package main

import (
	"net/netip"
	"testing"
)

func TestSSHPeerIn(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want string // "": no session
	}{
		{"IPv4", []string{"HOME=/root", "SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22"}, "192.0.2.7"},
		{"IPv6", []string{"SSH_CONNECTION=2001:db8::7 50022 2001:db8::1 22"}, "2001:db8::7"},
		{"link-local", []string{"SSH_CONNECTION=fe80::7%eth0 50022 fe80::1%eth0 22"}, "fe80::7"},
		{"IPv4 in IPv6", []string{"SSH_CONNECTION=::ffff:192.0.2.7 50022 ::ffff:192.0.2.1 22"}, "192.0.2.7"},
		{"none", []string{"HOME=/root", "SSH_CLIENT=192.0.2.7"}, ""},
		{"nonsense", []string{"SSH_CONNECTION="}, ""},
	}
	for _, tt := range tests {
		got, ok := sshPeerIn(tt.env)
		if ok != (tt.want != "") || ok && got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s: %v, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}
