package host

import (
	"testing"
	"time"
)

func TestAllowance(t *testing.T) {
	var a allowance
	now := time.Now()
	said := func(n int) (said, unsaid int) {
		for range n {
			ok, u := a.take(now)
			if ok {
				said++
			}
			unsaid += u
		}
		return said, unsaid
	}
	for _, tt := range []struct {
		name         string
		later        time.Duration
		events       int
		said, unsaid int
	}{
		{"a burst", 0, 100, burst, 0},
		{"at once", time.Second, 100, 0, 0},
		{"one more", refill, 100, 1, 170},
		{"three more", 3 * refill, 2, 2, 99},
		{"one of the three is left", 0, 2, 1, 0},
		{"rest", time.Hour, 100, burst, 1},
	} {
		now = now.Add(tt.later)
		if s, u := said(tt.events); s != tt.said || u != tt.unsaid {
			t.Errorf("%s: said %d, left out %d before; want %d, %d", tt.name, s, u, tt.said, tt.unsaid)
		}
	}
}
