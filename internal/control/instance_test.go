//go:build unix

package control

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
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
	ssh      []netip.Addr
	text     string
	o        ApplyOptions
}

func (o *obedient) Apply(_ context.Context, text string, opts ApplyOptions) (Reloaded, error) {
	o.text, o.o = text, opts
	return o.reloaded, o.reload
}

func (o *obedient) Reload(_ context.Context, ssh []netip.Addr) (Reloaded, error) {
	o.ssh = ssh
	return o.reloaded, o.reload
}

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
	ssh := []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")}
	got, err := c.Reload(t.Context(), ssh)
	if d := cmp.Diff(o.reloaded, got); d != "" || err != nil || !slices.Equal(o.ssh, ssh) {
		t.Errorf("Reload: %v, for %v\n%s", err, o.ssh, d)
	}
	opts := ApplyOptions{DryRun: true, SSH: ssh}
	got, err = c.Apply(t.Context(), "[Hop]\n", opts)
	if d := cmp.Diff(o.reloaded, got); d != "" || err != nil || o.text != "[Hop]\n" || !o.o.DryRun || !slices.Equal(o.o.SSH, ssh) {
		t.Errorf("Apply: %v, of %q, %+v\n%s", err, o.text, o.o, d)
	}
	o.reload = errors.New("exit.conf:3: Address: none")
	if _, err := c.Reload(t.Context(), nil); err == nil || err.Error() != "mh0: exit.conf:3: Address: none" {
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
		go func() { served <- Serve(ctx, l, o, nil, nil) }()
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
