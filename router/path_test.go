package router

import (
	"net/netip"
	"testing"
	"time"
)

func TestPath(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	for _, tt := range []struct {
		name string
		dst  string
		want netip.Addr
	}{
		{"through the exit", "198.51.100.7", exitTunnel},
		{"through the entry", "203.0.113.7", entryTunnel},
		{"IPv6 through the exit", "2001:db8:f::7", exitTunnel6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, ok := l.exchange(netip.MustParseAddr(tt.dst), 10*time.Second)
			if !ok || src != tt.want {
				t.Fatalf("the host saw %v (answered: %v), want %v; status %+v", src, ok, tt.want, l.r.Status())
			}
		})
	}
}
