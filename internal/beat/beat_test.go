package beat

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestUntil: tickers that began at any time tick together, also one whose owner is slow.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = time.Second
		times := make(chan int64, 100)
		for i := range 10 {
			time.Sleep(time.Duration(i) * 37 * time.Millisecond)
			go func() {
				tick := time.NewTicker(Until(every))
				defer tick.Stop()
				for range 5 {
					<-tick.C
					times <- time.Now().UnixNano()
					if i == 0 {
						time.Sleep(every * 13 / 10)
					}
					tick.Reset(Until(every))
				}
			}()
		}
		time.Sleep(10 * every)
		distinct := make(map[int64]int)
		for range 50 {
			at := <-times
			distinct[at]++
			if at%int64(every) != 0 {
				t.Errorf("a tick at %d ns", at)
			}
		}
		if len(distinct) != 8 { // seconds 1 to 6, and 7 and 9 of the slow one
			t.Errorf("ticks at %d moments", len(distinct))
		}
		time.Sleep(Until(every))
		if got := Until(every); got != every {
			t.Errorf("%v until the next beat, on a beat", got)
		}
	})
}
