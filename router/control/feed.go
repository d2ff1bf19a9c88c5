package control

import (
	"sync"
	"time"

	"multihop/router"
)

const (
	maxStreams = 16  // of one feed
	maxWaiting = 256 // events of one stream that its reader has not taken
)

// EventLost is the kind of the event that tells a reader how many it missed,
// because it was too slow: Count.
const EventLost router.EventKind = "lost"

// An Event is one of a stream.
type Event struct {
	ID uint64 `json:"id"` // counts the feed's events, from 1; of EventLost: the last one's that was missed
	router.Event
}

// A Feed gives the events of a router to any number of streams. It holds what a
// slow reader has not taken, within bounds, and never waits for one. It is safe
// for concurrent use.
type Feed struct {
	closed chan struct{}

	mu      sync.Mutex
	last    uint64 // ID
	streams map[*stream]struct{}
	ended   bool // closed is closed
}

// A stream is what one reader has not taken yet. Guarded by Feed.mu, but ready.
type stream struct {
	ready   chan struct{} // a token: there is something
	waiting []Event
	lost    uint64 // events since the last of waiting
	id      uint64 // of the last lost one
	at      time.Time
}

// NewFeed returns a feed without streams.
func NewFeed() *Feed {
	return &Feed{closed: make(chan struct{}), streams: make(map[*stream]struct{})}
}

// Publish gives an event to every stream: it is meant for Options.OnEvent.
func (f *Feed) Publish(e router.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	for s := range f.streams {
		s.put(Event{f.last, e})
	}
}

// Close ends every stream. It is idempotent, and waits for nobody.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		close(f.closed)
	}
}

// open returns a new stream; nil: there are as many as may be.
func (f *Feed) open() *stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) == maxStreams {
		return nil
	}
	s := &stream{ready: make(chan struct{}, 1)}
	f.streams[s] = struct{}{}
	return s
}

func (f *Feed) leave(s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, s)
}

// take returns what waits for a stream, oldest first.
func (f *Feed) take(s *stream) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.lost > 0 {
		s.waiting = append(s.waiting, Event{s.id, router.Event{Time: s.at, Kind: EventLost, Count: s.lost}})
	}
	all := s.waiting
	s.waiting, s.lost = nil, 0
	return all
}

// put adds an event. The newest are lost when too many wait: what is told is an
// unbroken run, and then how many are missing.
func (s *stream) put(e Event) {
	if len(s.waiting) == maxWaiting {
		s.lost++
		s.id, s.at = e.ID, e.Time
		return
	}
	s.waiting = append(s.waiting, e)
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
