//go:build unix

package control

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"multihop/internal/sock"
	"multihop/router"
)

// A fixed answers with what it holds.
type fixed struct {
	status      Status
	routes      []router.RouteStatus
	explanation router.Explanation
	flow        router.Flow // that was asked about
}

func (f *fixed) Status(context.Context) (Status, error) { return f.status, nil }

func (f *fixed) Explain(_ context.Context, flow router.Flow) (router.Explanation, error) {
	f.flow = flow
	return f.explanation, nil
}

func (f *fixed) Routes(context.Context) ([]router.RouteStatus, error) { return f.routes, nil }

func sample() *fixed {
	return &fixed{
		status: Status{Profile: "office", Host: Host{
			Table: "52820", Mark: 52820, KillSwitch: true, LAN: true,
			Exclude: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			DNS:     []Resolver{{Addr: netip.MustParseAddr("10.64.0.1"), Hop: "exit"}},
		}, Status: router.Status{
			TUN: "mh0", Addrs: []netip.Addr{netip.MustParseAddr("10.64.0.2")}, MTU: 1420,
			Hops: []router.HopStatus{{
				Name: "exit", Via: "entry", PublicKey: router.NewPrivateKey().Public().Encode(), MTU: 1360, Age: time.Second,
				Peers: []router.PeerStatus{{
					PublicKey:       router.NewPrivateKey().Public().Encode(),
					Preshared:       true,
					AllowedIPs:      []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
					LatestHandshake: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
					RxBytes:         1, TxBytes: 2, Keepalive: 25 * time.Second,
				}},
				Drops: map[string]uint64{"spoof": 3},
			}},
		}},
		routes: []router.RouteStatus{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Count: 1, Hop: "exit"},
			{Count: 3, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("192.0.2.128/25"), netip.MustParsePrefix("198.51.100.0/24")}},
		},
		explanation: router.Explanation{
			Route: netip.MustParsePrefix("10.0.0.0/8"),
			Path:  []router.ExplainedHop{{Name: "entry", MTU: 1420}},
			Drop:  "hop_down", Reason: "taken down",
		},
	}
}

// serve runs a server for s without events in a new directory until the test ends.
func serve(t *testing.T, s Source) (dir string) { return serveFeed(t, s, nil) }

func serveFeed(t *testing.T, s Source, feed *Feed) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	l, err := Listen(dir, "mh0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, s, feed, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "mh0.sock")); !os.IsNotExist(err) {
			t.Errorf("after Serve the socket is still there: %v", err)
		}
	})
	return dir
}

func TestRoundTrip(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	src := sample()
	dir := serve(t, src)
	same := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	c := NewClient(dir, "mh0")

	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(src.status, status, same); d != "" {
		t.Errorf("status (-sent +got):\n%s", d)
	}
	flow := router.Flow{
		Dst: netip.MustParseAddr("10.1.2.3"), Src: netip.MustParseAddr("10.64.0.2"),
		Proto: 6, SrcPort: 1, Port: 2, Size: 40, DF: true, FromHop: "exit",
	}
	got, err := c.Explain(t.Context(), flow)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(src.explanation, got, same); d != "" {
		t.Errorf("explanation (-sent +got):\n%s", d)
	}
	if d := cmp.Diff(flow, src.flow, same); d != "" {
		t.Errorf("flow (-sent +got):\n%s", d)
	}
	for _, tt := range []struct {
		expand bool
		want   []string
		count  int
	}{{false, []string{"10.0.0.0/8", "invalid Prefix"}, 4}, {true, []string{"10.0.0.0/8", "192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24"}, 4}} {
		var rows []string
		count := 0
		err := c.Routes(t.Context(), tt.expand, func(r router.RouteStatus) error {
			rows, count = append(rows, r.Prefix.String()), count+r.Count
			return nil
		})
		if err != nil || count != tt.count || !slices.Equal(rows, tt.want) {
			t.Errorf("Routes: %q, %d prefixes, %v; want %q", rows, count, err, tt.want)
		}
	}
	enough := errors.New("enough")
	if err := c.Routes(t.Context(), false, func(router.RouteStatus) error { return enough }); err != enough { //nolint:errorlint // it is passed on as it is
		t.Errorf("Routes: %v", err)
	}
	names, err := Names(dir)
	if d := cmp.Diff([]string{"mh0"}, names); d != "" || err != nil {
		t.Errorf("Names: %v, %v", names, err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	dir := serve(t, sample())
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "mh0.sock"): os.ModeSocket | 0o600} {
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if _, err := Listen(dir, "mh0"); !errors.Is(err, sock.ErrInUse) {
		t.Errorf("second instance of one name: %v, want ErrInUse", err)
	}
}

func TestNotRunning(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewClient(dir, "mh9").Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Status: %v, want ErrNotRunning", err)
	}
	if names, err := Names(filepath.Join(dir, "absent")); len(names) != 0 || err != nil {
		t.Errorf("Names of an absent directory: %v, %v", names, err)
	}
}

// One that is stopped still has its socket, which connects.
func TestNoAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	l, err := Listen(dir, "mh0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = NewClient(dir, "mh0").Status(ctx)
	if !errors.Is(err, ErrNoAnswer) || err.Error() != "mh0 does not answer" {
		t.Errorf("Status: %v, want that it does not answer", err)
	}
}

// TestEvents: several clients see the same events; a stream ends with the
// instance, and with what its reader says.
func TestEvents(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	feed := NewFeed()
	dir := filepath.Join(t.TempDir(), "run")
	l, err := Listen(dir, "mh0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var parties sync.WaitGroup
	parties.Go(func() {
		if err := Serve(ctx, l, sample(), feed, nil); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	listen := func(each func(Event) error, want error) {
		parties.Go(func() {
			if err := NewClient(dir, "mh0").Events(t.Context(), each); !errors.Is(err, want) {
				t.Errorf("Events: %v, want %v", err, want)
			}
		})
	}
	var both, left atomic.Bool
	var mu sync.Mutex
	seen := make(map[uint64]int)
	for range 2 {
		listen(func(e Event) error {
			mu.Lock()
			defer mu.Unlock()
			if seen[e.ID]++; e.Kind != router.EventDown || e.Hop != "exit" || e.Reason == "" || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
			if seen[e.ID] == 2 {
				both.Store(true)
			}
			return nil
		}, nil)
	}
	enough := errors.New("enough")
	listen(func(Event) error { left.Store(true); return enough }, enough)
	for deadline := time.Now().Add(10 * time.Second); !both.Load() || !left.Load(); time.Sleep(time.Millisecond) {
		feed.Publish(router.Event{Kind: router.EventDown, Hop: "exit", Reason: "its carrier entry is down", Time: time.Now()})
		if time.Now().After(deadline) {
			t.Error("no event came to all three")
			break
		}
	}
	cancel() // the streams end with the server
	parties.Wait()
}
