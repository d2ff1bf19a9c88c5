package netlab

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// A flipper is a connection that flips one bit of what passes it.
type flipper struct {
	net.Conn
	at int // offset in what is read
}

func (f *flipper) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if f.at >= 0 && f.at < n {
		b[f.at] ^= 1
	}
	f.at -= n
	return n, err
}

func TestTransferDetectsCorruption(t *testing.T) {
	tests := []struct {
		name           string
		down           bool
		client, server int // offsets of the bit flipped in what that side reads; -1: none
		want           error
	}{
		{"up", false, -1, -1, nil},
		{"down", true, -1, -1, nil},
		{"up, corrupted", false, -1, 17 + 100_000, errHash},
		{"down, corrupted", true, 100_000, -1, errHash},
		{"down, hash corrupted", true, 1 << 20, -1, errHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			done := make(chan error, 1)
			seen := netip.MustParseAddrPort("192.0.2.7:1234")
			go func() { done <- serveTransfer(&flipper{b, tt.server}, seen) }()
			from, err := transfer(&flipper{a, tt.client}, request{down: tt.down, size: 1 << 20, seed: 7})
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.want == nil && from != seen {
				t.Errorf("seen from %v, want %v", from, seen)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
