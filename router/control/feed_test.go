package control

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"multihop/router"
)

// read returns the events of a stream, and whether a comment came before them.
func read(t *testing.T, body reader, n int) (all []Event, comment bool) {
	t.Helper()
	id, kind := "", ""
	for len(all) < n && body.Scan() {
		key, value, _ := strings.Cut(body.Text(), ": ")
		switch key {
		case "", ":":
			comment = true
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			var e Event
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				t.Fatal(err)
			}
			if string(e.Kind) != kind || id == "" {
				t.Fatalf("id %q, event %q of %+v", id, kind, e)
			}
			all = append(all, e)
		}
	}
	return all, comment
}

// A reader is one that follows a stream.
type reader struct {
	*bufio.Scanner
	status int
	kind   string // of content
}

func follow(t *testing.T, ctx context.Context, url string) reader {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return reader{bufio.NewScanner(resp.Body), resp.StatusCode, resp.Header.Get("Content-Type")}
}

// streams waits until a feed has n of them.
func streams(t *testing.T, f *Feed, n int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		have := len(f.streams)
		f.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d streams, want %d", have, n)
		}
	}
}

// TestStream: every reader gets every event from the moment it came, in order and
// counted; leaving frees its place; Close ends the rest.
func TestStream(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	feed := NewFeed()
	server := httptest.NewServer(NewHandler(new(source), feed))
	defer server.Close()
	feed.Publish(router.Event{Kind: router.EventUp, Hop: "early"})
	ctx, leave := context.WithCancel(t.Context())
	first, second := follow(t, ctx, server.URL), follow(t, t.Context(), server.URL)
	streams(t, feed, 2)
	if second.kind != "text/event-stream" {
		t.Errorf("type %q", second.kind)
	}
	now := time.Now().Round(0)
	feed.Publish(router.Event{Time: now, Kind: router.EventDown, Hop: "exit", Reason: "its carrier entry is down"})
	feed.Publish(router.Event{Time: now, Kind: router.EventDrops, Drop: "spoof", Count: 200})
	for _, body := range []reader{first, second} {
		got, comment := read(t, body, 2)
		if len(got) != 2 || !comment || got[0].ID != 2 || got[1].ID != 3 || !got[0].Time.Equal(now) ||
			got[0].Hop != "exit" || got[0].Reason == "" || got[1].Drop != "spoof" || got[1].Count != 200 {
			t.Errorf("%+v", got)
		}
	}
	leave()
	streams(t, feed, 1)
	feed.Close()
	feed.Close()
	streams(t, feed, 0)
	if got, _ := read(t, second, 1); len(got) != 0 {
		t.Errorf("after Close: %+v", got)
	}
	ended := follow(t, t.Context(), server.URL)
	if got, _ := read(t, ended, 1); len(got) != 0 {
		t.Errorf("of a closed feed: %+v", got)
	}
}

// TestHead: who asks for the head alone is not kept.
func TestHead(t *testing.T) {
	feed := NewFeed()
	if code, _ := ask(NewHandler(new(source), feed), http.MethodHead, "/events", ""); code != http.StatusOK {
		t.Errorf("%d", code)
	}
	streams(t, feed, 0)
}

// TestStreams: there are only so many at a time.
func TestStreams(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	feed := NewFeed()
	server := httptest.NewServer(feed)
	defer server.Close()
	defer feed.Close()
	for range maxStreams {
		follow(t, t.Context(), server.URL)
	}
	streams(t, feed, maxStreams)
	if r := follow(t, t.Context(), server.URL); r.status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", r.status)
	}
}

// TestSlowReader: whoever does not read stops nobody, loses the newest events, and
// is told how many.
func TestSlowReader(t *testing.T) {
	feed := NewFeed()
	s := feed.open()
	const more = 1000
	began := time.Now()
	for i := range maxWaiting + more {
		feed.Publish(router.Event{Kind: router.EventHandshake, Time: began.Add(time.Duration(i))})
	}
	got := feed.take(s)
	if len(got) != maxWaiting+1 || got[0].ID != 1 || got[maxWaiting-1].ID != maxWaiting {
		t.Fatalf("%d events, from %d", len(got), got[0].ID)
	}
	last := got[maxWaiting]
	if last.Kind != EventLost || last.Count != more || last.ID != maxWaiting+more || !last.Time.Equal(began.Add(maxWaiting+more-1)) {
		t.Errorf("%+v", last)
	}
	feed.Publish(router.Event{Kind: router.EventUp})
	if got := feed.take(s); len(got) != 1 || got[0].ID != maxWaiting+more+1 {
		t.Errorf("afterwards %+v", got)
	}
}

// TestStalledReader: a connection that is never read from neither holds Publish up
// nor Close.
func TestStalledReader(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	feed := NewFeed()
	server := httptest.NewServer(feed)
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	streams(t, feed, 1)
	began := time.Now()
	e := router.Event{Kind: router.EventDown, Reason: strings.Repeat("x", 64<<10)}
	for range 500 {
		feed.Publish(e)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("500 events took %v", d)
	}
	feed.Close()
}
