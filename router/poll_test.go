package router

import (
	"testing"
	"time"
)

// TestSpokeSince: what comes from a peer that nothing reaches does not show that it
// is there for us.
func TestSpokeSince(t *testing.T) {
	never, early, late := time.Unix(0, 0), time.Unix(100, 0), time.Unix(200, 0)
	for _, tt := range []struct {
		name     string
		was, now polledPeer
		answered time.Time
		want     bool
	}{
		{"nothing ever", polledPeer{}, polledPeer{}, never, false},
		{"nothing more", polledPeer{handshake: early, rx: 5000}, polledPeer{handshake: early, rx: 5000}, never, false},
		{"data", polledPeer{handshake: early, rx: 5000}, polledPeer{handshake: early, rx: 5032}, never, true},
		{"data, after a handshake that it began and completed", polledPeer{handshake: late, rx: 5000}, polledPeer{handshake: late, rx: 5032}, early, true},
		{"a handshake that it began", polledPeer{handshake: early, rx: 5000}, polledPeer{handshake: early, rx: 5148}, late, false},
		{"data, after one that it did not complete", polledPeer{handshake: early, rx: 5148}, polledPeer{handshake: early, rx: 6148}, late, false},
		{"a handshake completed", polledPeer{handshake: early, rx: 5000}, polledPeer{handshake: late, rx: 5148}, early, true},
		{"one that we began completed, after an answer in vain", polledPeer{handshake: never, rx: 5000}, polledPeer{handshake: early, rx: 5092}, late, true},
		{"the first handshake", polledPeer{}, polledPeer{handshake: late, rx: 92}, never, true},
		{"another device, silent", polledPeer{handshake: early, rx: 5000}, polledPeer{}, never, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.spokeSince(tt.was, tt.answered); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}
