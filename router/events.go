package router

import (
	"net/netip"
	"sync"
	"time"

	"multihop/internal/beat"
)

// An Event is a change of a hop's or a group's state, or of the routes.
type Event struct {
	Time     time.Time      `json:"time"`
	Kind     EventKind      `json:"kind"`
	Hop      string         `json:"hop,omitempty"`      // of EventFailover: that took over; of EventRoutes: none
	Reason   string         `json:"reason,omitempty"`   // of EventDown and EventFailover
	MTU      int            `json:"mtu,omitempty"`      // of EventMTU: the new one, in bytes
	Peer     string         `json:"peer,omitempty"`     // of EventRoam and EventResolved: its public key, base64
	Endpoint netip.AddrPort `json:"endpoint,omitzero"`  // of EventRoam and EventResolved: the new one
	Group    string         `json:"group,omitempty"`    // of EventFailover
	Was      string         `json:"was,omitempty"`      // of EventFailover: the hop that served before
	Prefixes int            `json:"prefixes,omitempty"` // of EventRoutes: how many there are now
	Drop     string         `json:"drop,omitempty"`     // of EventDrops: the counter's name
	Count    uint64         `json:"count,omitempty"`    // of EventDrops: packets
}

// An EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventUp        EventKind = "up"        // the hop works again, or was started
	EventDown      EventKind = "down"      // its routes reject; Reason says why
	EventHandshake EventKind = "handshake" // a session was made or renewed
	EventMTU       EventKind = "mtu"       // the hop's MTU changed: a smaller path MTU was learned, or forgotten, or Apply changed it
	EventRoam      EventKind = "roam"      // a peer was heard, authenticated, from another address
	EventResolved  EventKind = "resolved"  // a peer's name has an address that was not in use before
	EventFailover  EventKind = "failover"  // another hop of a group serves
	EventRoutes    EventKind = "routes"    // Apply changed the routes: see Routes; within a second
	EventDrops     EventKind = "drops"     // a burst: a hop, or none, dropped 100 packets in a second under one name; at most one event in 10 s of each
)

// An eventQueue holds events until Options.OnEvent takes them: of each hop,
// peer, group, counter and kind only the newest, so that it is bounded.
type eventQueue struct {
	ready chan struct{} // a token: there is something

	mu   sync.Mutex
	list []Event
}

func (q *eventQueue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, old := range q.list {
		if old.Kind == e.Kind && old.Peer == e.Peer && old.Group == e.Group && old.Drop == e.Drop && (old.Hop == e.Hop || e.Group != "") {
			e.Count += old.Count
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

// deliverEvents calls Options.OnEvent until the router closes, and looks once a
// second for what nobody emits.
func (r *Router) deliverEvents() {
	defer r.goroutines.Done()
	watch := newWatch(r)
	tick := time.NewTicker(beat.Until(watchEvery))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			tick.Reset(beat.Until(watchEvery))
			watch.look(time.Now())
		case <-r.events.ready:
			for _, e := range r.events.take() {
				r.opts.OnEvent(e)
			}
		case <-r.closing:
			return
		}
	}
}
