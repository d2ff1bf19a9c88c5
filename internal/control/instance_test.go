//go:build unix

package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// An obedient instance does what it is told, with the errors it holds.
type obedient struct {
	*fixed
	stop     func() // nil: not to be stopped
	reload   error
	undo     error
	reloaded Reloaded
}

func (o *obedient) Reload(context.Context) (Reloaded, error) { return o.reloaded, o.reload }

func (o *obedient) Stop(context.Context) error {
	if o.stop != nil {
		o.stop()
	}
	return o.undo
}

func TestReload(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	o := &obedient{fixed: sample(), reloaded: Reloaded{Changes: []string{"[#] ip route del 10.0.0.0/8"}, Warnings: []string{"w"}}}
	c := NewClient(serve(t, o), "mh0")
	got, err := c.Reload(t.Context())
	if d := cmp.Diff(o.reloaded, got); d != "" || err != nil {
		t.Errorf("Reload: %v\n%s", err, d)
	}
	o.reload = errors.New("exit.conf:3: Address: none")
	if _, err := c.Reload(t.Context()); err == nil || err.Error() != "mh0: exit.conf:3: Address: none" {
		t.Errorf("a reload that fails: %v", err)
	}
}

// Stop returns when the socket is gone, which is after everything is undone; an
// error of undoing is the client's.
func TestStop(t *testing.T) {
	for _, undo := range []error{nil, errors.New("route 10.0.0.0/8: no permission")} {
		dir := filepath.Join(t.TempDir(), "run")
		l, err := Listen(dir, "mh0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		o := &obedient{fixed: sample(), undo: undo, stop: func() { time.AfterFunc(50*time.Millisecond, cancel) }}
		served := make(chan error)
		go func() { served <- Serve(ctx, l, o, nil) }()
		err = NewClient(dir, "mh0").Stop(t.Context())
		switch {
		case undo == nil && err != nil:
			t.Errorf("Stop: %v", err)
		case undo == nil && ctx.Err() == nil:
			t.Error("Stop returned while the socket was there")
		case undo != nil && (err == nil || err.Error() != "mh0: "+undo.Error()):
			t.Errorf("Stop: %v, want %v", err, undo)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := NewClient(dir, "mh0").Stop(t.Context()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("Stop of what has ended: %v, want ErrNotRunning", err)
		}
	}
}

// Changes are made by POST alone: a GET must be without effect.
func TestChangesWantPost(t *testing.T) {
	o := &obedient{fixed: sample(), stop: func() { t.Error("stopped by a GET") }}
	for _, target := range []string{"/stop", "/reload"} {
		w := httptest.NewRecorder()
		NewHandler(o).ServeHTTP(w, httptest.NewRequest("GET", target, strings.NewReader("")))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", target, w.Code)
		}
	}
}
