package flood_test

import (
	"testing"
	"time"

	"multihop/internal/netlab"
)

// leastAnswers is how many of its echoes a flow must get back beside a flood:
// one a second. Where a queue that it shares with the flood overflows, the
// kernel drops whatever comes, so most may be lost.
const leastAnswers = int(floodTime / time.Second)

// A flow is echoes, one after the other.
type flow struct {
	to      goal
	stop    chan struct{}
	done    chan struct{}
	count   int           // answers
	longest time.Duration // between two of them
}

func startFlow(h *netlab.Host, to goal) *flow {
	w := &flow{to: to, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run(h)
	return w
}

func (w *flow) run(h *netlab.Host) {
	defer close(w.done)
	last := time.Now()
	for {
		if _, err := h.Echo(w.to.addr, 500, time.Second); err == nil {
			w.count++
			w.longest = max(w.longest, time.Since(last))
			last = time.Now()
		}
		select {
		case <-w.stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end stops the flow and checks that it went on all the time.
func (w *flow) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	<-w.done
	t.Logf("flow to %v: %d answers, longest silence %v", w.to.addr, w.count, w.longest.Round(time.Millisecond))
	if w.count < leastAnswers {
		t.Errorf("the flow to %v got %d answers beside the flood, want %d", w.to.addr, w.count, leastAnswers)
	}
}
