package router

import (
	"sync"
	"time"
)

// An eventQueue holds events until Options.OnEvent takes them: of each hop and
// kind only the newest, so that it is bounded.
type eventQueue struct {
	ready chan struct{} // a token: there is something

	mu   sync.Mutex
	list []Event
}

func (q *eventQueue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, old := range q.list {
		if old.Hop == e.Hop && old.Kind == e.Kind {
			q.list = append(q.list[:i], q.list[i+1:]...)
			break
		}
	}
	q.list = append(q.list, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *eventQueue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// emit queues an event for Options.OnEvent, and sets its time.
func (r *Router) emit(e Event) {
	if r.opts.OnEvent != nil {
		e.Time = time.Now()
		r.events.put(e)
	}
}

// deliverEvents calls Options.OnEvent until the router closes.
func (r *Router) deliverEvents() {
	defer r.goroutines.Done()
	for {
		select {
		case <-r.events.ready:
			for _, e := range r.events.take() {
				r.opts.OnEvent(e)
			}
		case <-r.closing:
			return
		}
	}
}
