package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"multihop/router"
)

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 16 << 20

// ErrNotRunning is wrapped by a Client's error when nobody listens.
var ErrNotRunning = errors.New("no such instance is running")

// ErrNoAnswer is wrapped by a Client's error when the instance is there, but
// says nothing until the context's deadline: it is stopped, or hangs.
var ErrNoAnswer = errors.New("does not answer")

var errNotAllowed = errors.New("not allowed to ask: only root and the user who runs it are")

// A Client asks one instance. It is safe for concurrent use and holds nothing
// open between calls.
type Client struct {
	name string
	path string // of its socket
	http http.Client
}

// NewClient returns a client of the instance name whose socket is in dir. It
// does not connect yet.
func NewClient(dir, name string) *Client {
	c := &Client{name: name, path: filepath.Join(dir, name+suffix)}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.path)
		},
	}
	return c
}

// Status asks for the state of every hop, and of the host.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.ask(ctx, http.MethodGet, "/status", nil, &s)
}

// Explain asks what happens to a packet to dst.
func (c *Client) Explain(ctx context.Context, dst netip.Addr) (router.Explanation, error) {
	var e router.Explanation
	return e, c.ask(ctx, http.MethodGet, "/route", url.Values{"dst": {dst.String()}}, &e)
}

// Reload has the instance read its configuration again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	return r, c.ask(ctx, http.MethodPost, "/reload", nil, &r)
}

// Stop has the instance end, and returns once it has undone everything and its
// socket is gone. An error with which undoing ended is returned.
func (c *Client) Stop(ctx context.Context) error {
	before, err := os.Lstat(c.path)
	if err != nil {
		return c.explain(err)
	}
	if err := c.ask(ctx, http.MethodPost, "/stop", nil, new(struct{})); err != nil {
		return err
	}
	for {
		now, err := os.Lstat(c.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(before, now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return c.explain(ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *Client) ask(ctx context.Context, method, path string, query url.Values, into any) error {
	u := url.URL{Scheme: "http", Host: "multihop", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.explain(err)
	}
	if resp.StatusCode != http.StatusOK {
		var p problem
		if json.Unmarshal(body, &p) == nil && p.Error != "" {
			return fmt.Errorf("%s: %s", c.name, p.Error)
		}
		return fmt.Errorf("%s: answered %s", c.name, resp.Status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: unreadable answer: %w", c.name, err)
	}
	return nil
}

// explain says in its own words what net/http wraps three times.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		err = ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		err = errNotAllowed
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %w", c.name, ErrNoAnswer)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

// Names lists the instances that have a socket in dir, sorted. One that was
// killed is listed until its name is used again: asking it is ErrNotRunning.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: %w", dir, errNotAllowed)
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && name != "" && e.Type() == fs.ModeSocket {
			names = append(names, name)
		}
	}
	return names, nil
}
