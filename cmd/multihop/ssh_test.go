package main

import "testing"

func TestSessionIn(t *testing.T) {
	tests := []struct {
		name           string
		env            []string
		client, server string // "": no session
	}{
		{"IPv4", []string{"HOME=/root", "SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22"}, "192.0.2.7:50022", "192.0.2.1:22"},
		{"IPv6", []string{"SSH_CONNECTION=2001:db8::7 50022 2001:db8::1 22"}, "[2001:db8::7]:50022", "[2001:db8::1]:22"},
		{"link-local", []string{"SSH_CONNECTION=fe80::7%eth0 50022 fe80::1%eth0 22"}, "[fe80::7%eth0]:50022", "[fe80::1%eth0]:22"},
		{"IPv4 in IPv6", []string{"SSH_CONNECTION=::ffff:192.0.2.7 50022 ::ffff:192.0.2.1 22"}, "192.0.2.7:50022", "192.0.2.1:22"},
		{"none", []string{"HOME=/root", "SSH_CLIENT=192.0.2.7"}, "", ""},
		{"empty", []string{"SSH_CONNECTION="}, "", ""},
		{"no address", []string{"SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535"}, "", ""},
		{"no port", []string{"SSH_CONNECTION=192.0.2.7 65536 192.0.2.1 22"}, "", ""},
	}
	for _, tt := range tests {
		s, ok := sessionIn(tt.env)
		if ok != (tt.client != "") || ok && (s.client.String() != tt.client || s.server.String() != tt.server) {
			t.Errorf("%s: %v, %v; want %q, %q", tt.name, s, ok, tt.client, tt.server)
		}
	}
}
