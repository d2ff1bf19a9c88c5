package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// heartbeat is how often a stream without events says that it lives.
const heartbeat = 15 * time.Second

// ServeHTTP streams the events from now on, as server-sent events: each with its
// ID, its kind, and itself as one line of JSON. It ends with Close, when its
// reader leaves, or does not read for a while.
func (f *Feed) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s := f.open()
	if s == nil {
		answer(w, http.StatusServiceUnavailable, problem{fmt.Sprintf("%d streams of events are open already", maxStreams)})
		return
	}
	defer f.leave(s)
	patient(w)
	c := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is no limit, none is set
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if !send(": events of multihop\n\n") || req.Method == http.MethodHead {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-req.Context().Done():
			return
		case <-f.closed:
			return
		case <-beat.C:
			if !send(":\n\n") {
				return
			}
		case <-s.ready:
			for _, e := range f.take(s) {
				data, err := json.Marshal(e)
				if err != nil || !send("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data) {
					return
				}
			}
		}
	}
}
