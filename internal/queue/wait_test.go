package queue

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWait: a bubble's clock stands still but for timers, so that times are
// exact.
func TestWait(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fill  int                // packets of a first producer in a ring of 4
		need  int                // 0: 1
		after func(r *Ring[int]) // done after 3 ms
		room  bool
		waits time.Duration
	}{
		{"room", 3, 0, nil, true, 0},
		{"time-out", 4, 0, nil, false, 10 * time.Millisecond},
		{"release", 4, 0, func(r *Ring[int]) { drain(r, 1) }, true, 3 * time.Millisecond},
		{"wake", 4, 0, func(r *Ring[int]) { r.Wake() }, false, 3 * time.Millisecond},
		{"close", 4, 0, func(r *Ring[int]) { r.Close() }, false, 3 * time.Millisecond},
		{"room for some", 3, 2, nil, false, 10 * time.Millisecond},
		{"release of some", 4, 2, func(r *Ring[int]) { drain(r, 1) }, false, 3 * time.Millisecond},
		{"release of enough", 4, 2, func(r *Ring[int]) { drain(r, 2) }, true, 3 * time.Millisecond},
		{"control makes no room", 4, 0, func(r *Ring[int]) { r.PutControl(0, 0, func([]byte) {}); drain(r, 1) }, false, 10 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pool := New[int](4, 1), NewWaiters()
				var a, b Producer
				put(r, &a, tt.fill)
				if tt.after != nil {
					go func() {
						time.Sleep(3 * time.Millisecond)
						tt.after(r)
					}()
				}
				start := time.Now()
				if room := r.Wait(&b, max(tt.need, 1), 10*time.Millisecond, pool); room != tt.room {
					t.Errorf("room: %v, want %v", room, tt.room)
				}
				if d := time.Since(start); d != tt.waits {
					t.Errorf("after %v, want %v", d, tt.waits)
				}
				if len(r.waiters) != 0 || b.waiting != 0 || b.active() {
					t.Errorf("it still waits: %d waiters, %+v", len(r.waiters), b)
				}
			})
		})
	}
	t.Run("closed", func(t *testing.T) {
		r := New[int](4, 0)
		r.Close()
		if r.Wait(new(Producer), 1, time.Hour, NewWaiters()) {
			t.Error("a closed ring has room")
		}
	})
}

// TestWaitingCountsForShares: a producer that waits is active, so that the one
// which fills the ring gets no further than half of it.
func TestWaitingCountsForShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, pool := New[int](8, 0), NewWaiters()
		var a, b Producer
		put(r, &a, 7)
		got := make(chan bool)
		go func() { got <- r.Wait(&b, 2, time.Hour, pool) }()
		synctest.Wait()
		want(t, "who is over its half, while another waits", put(r, &a, 1), 0)
		drain(r, 1)
		if !<-got {
			t.Fatal("no room after a release")
		}
		want(t, "who no longer waits, nor holds any, leaves the ring to others", put(r, &a, 1), 1)
	})
}

// TestWaitersReused: a wake that comes at the time-out does not disturb the next
// wait of the pooled waiter.
func TestWaitersReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, pool := New[int](2, 0), NewWaiters()
		var a, b Producer
		put(r, &a, 2)
		for range 100 {
			go func() {
				time.Sleep(time.Millisecond)
				r.Wake()
			}()
			r.Wait(&b, 1, time.Millisecond, pool)
			synctest.Wait()
			start := time.Now()
			if r.Wait(&b, 1, time.Millisecond, pool) || time.Since(start) != time.Millisecond {
				t.Fatalf("the next wait ended after %v", time.Since(start))
			}
		}
	})
}

// TestManyWait: whoever waits gets room in the end, or learns of the close.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, pool := New[int](2, 0), NewWaiters()
		var a Producer
		put(r, &a, 2)
		done := make(chan bool, 10)
		for range 10 {
			go func() {
				var p Producer
				for !r.Closed() {
					r.Wait(&p, 1, time.Hour, pool)
					if put(r, &p, 1) == 1 {
						done <- true
						return
					}
				}
				done <- false
			}()
		}
		start := time.Now()
		for range 5 {
			synctest.Wait()
			drain(r, 1)
			if !<-done {
				t.Fatal("no room")
			}
		}
		r.Close()
		for range 5 {
			if <-done {
				t.Fatal("room in a closed ring")
			}
		}
		want(t, "waiters", len(r.waiters), 0)
		if d := time.Since(start); d != 0 {
			t.Errorf("somebody slept through it: %v", d)
		}
	})
}
