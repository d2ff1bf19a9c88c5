//go:build unix

package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
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
	explanation router.Explanation
}

func (f *fixed) Status(context.Context) (Status, error) { return f.status, nil }

func (f *fixed) Explain(_ context.Context, flow router.Flow) (router.Explanation, error) {
	e := f.explanation
	e.Dst = flow.Dst
	return e, nil
}

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
		explanation: router.Explanation{
			Route: netip.MustParsePrefix("10.0.0.0/8"),
			Path:  []router.ExplainedHop{{Name: "entry", MTU: 1420}},
			Drop:  "hop_down", Reason: "taken down",
		},
	}
}

// serve runs a server for s in a new directory until the test ends.
func serve(t *testing.T, s Source) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	l, err := Listen(dir, "mh0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, s, nil) }()
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
	dst := netip.MustParseAddr("10.1.2.3")
	got, err := c.Explain(t.Context(), dst)
	if err != nil {
		t.Fatal(err)
	}
	want := src.explanation
	want.Dst = dst
	if d := cmp.Diff(want, got, same); d != "" {
		t.Errorf("explanation (-sent +got):\n%s", d)
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

func TestHandlerRefuses(t *testing.T) {
	tests := []struct {
		name, method, target string
		code                 int
		want                 string
	}{
		{"no address", "GET", "/route", http.StatusBadRequest, `"error":"dst:`},
		{"a name", "GET", "/route?dst=example.net", http.StatusBadRequest, `"error":"dst:`},
		{"a change", "POST", "/status", http.StatusMethodNotAllowed, ""},
		{"unknown", "GET", "/keys", http.StatusNotFound, ""},
		{"to end what is only asked", "POST", "/stop", http.StatusNotFound, ""},
		{"to reload what is only asked", "POST", "/reload", http.StatusNotFound, ""},
	}
	h := NewHandler(sample())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, nil))
			body, _ := io.ReadAll(w.Result().Body)
			if w.Code != tt.code || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s, want %d %s", w.Code, body, tt.code, tt.want)
			}
		})
	}
}
