package beat

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestUntil: tickers that began at any time tick together.
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
		if len(distinct) > 7 { // the last one began two seconds after the first
			t.Errorf("ticks at %d moments", len(distinct))
		}
	})
}
