package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"multihop/router"
	"multihop/router/control"
)

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
	return s, c.ask(ctx, http.MethodGet, "/status", nil, "", &s)
}

// Routes calls each with every route in force, in order; with expand, with each
// prefix of a large set. An error of each ends it, and is returned.
func (c *Client) Routes(ctx context.Context, expand bool, each func(router.RouteStatus) error) error {
	query := make(url.Values)
	if expand {
		query.Set("all", "")
	}
	body, err := c.open(ctx, http.MethodGet, "/routes", query, "")
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	d := json.NewDecoder(body)
	for range 3 { // {, "routes", [
		if _, err := d.Token(); err != nil {
			return c.unreadable(err)
		}
	}
	for d.More() {
		var r router.RouteStatus
		if err := d.Decode(&r); err != nil {
			return c.unreadable(err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // or it is only the beginning
		return c.unreadable(err)
	}
	return nil
}

// Explain asks what happens to a packet of a flow.
func (c *Client) Explain(ctx context.Context, f router.Flow) (router.Explanation, error) {
	var e router.Explanation
	return e, c.ask(ctx, http.MethodGet, "/route", control.Query(f), "", &e)
}

// Events calls each with every event from now on, until the instance ends, which
// is no error. An error of each ends it, and is returned.
func (c *Client) Events(ctx context.Context, each func(Event) error) error {
	body, err := c.open(ctx, http.MethodGet, "/events", nil, "")
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return c.unreadable(err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return c.explain(err)
	}
	return nil
}

// Apply has the instance put a profile in force, given as the text of its file,
// or say what that would do.
func (c *Client) Apply(ctx context.Context, profile string, o ApplyOptions) (Reloaded, error) {
	var r Reloaded
	query := sshQuery(o.SSH)
	if o.DryRun {
		query.Set("dry-run", "")
	}
	return r, c.ask(ctx, http.MethodPost, "/apply", query, profile, &r)
}

// Reload has the instance read its configuration again. ssh are the far ends that
// the SSH session which the caller is in may have, none of which must be cut;
// empty: in none.
func (c *Client) Reload(ctx context.Context, ssh []netip.Addr) (Reloaded, error) {
	var r Reloaded
	return r, c.ask(ctx, http.MethodPost, "/reload", sshQuery(ssh), "", &r)
}

func sshQuery(ssh []netip.Addr) url.Values {
	query := make(url.Values)
	for _, a := range ssh {
		query.Add("ssh", a.String())
	}
	return query
}

// Stop has the instance end, and returns once it has undone everything and its
// socket is gone. An error with which undoing ended is returned.
func (c *Client) Stop(ctx context.Context) error {
	before, err := os.Lstat(c.path)
	if err != nil {
		return c.explain(err)
	}
	if err := c.ask(ctx, http.MethodPost, "/stop", nil, "", new(struct{})); err != nil {
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
