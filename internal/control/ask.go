package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// maxAnswer bounds what a client reads of an answer that it keeps, in bytes.
const maxAnswer = 16 << 20

// ErrNotRunning is wrapped by a Client's error when nobody listens.
var ErrNotRunning = errors.New("no such instance is running")

// ErrNoAnswer is wrapped by a Client's error when the instance is there, but
// says nothing until the context's deadline: it is stopped, or hangs.
var ErrNoAnswer = errors.New("does not answer")

var errNotAllowed = errors.New("not allowed to ask: only root and the user who runs it are")

// ask asks, and decodes the answer.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, send string, into any) error {
	body, err := c.open(ctx, method, path, query, send)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return c.explain(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return c.unreadable(err)
	}
	return nil
}

// open asks, and returns the body of an answer that is no error. The caller
// closes it.
func (c *Client) open(ctx context.Context, method, path string, query url.Values, send string) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "multihop", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(send))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var p struct {
		Error string `json:"error"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.explain(err)
	}
	if json.Unmarshal(body, &p) == nil && p.Error != "" {
		return nil, fmt.Errorf("%s: %s", c.name, p.Error)
	}
	return nil, fmt.Errorf("%s: answered %s", c.name, resp.Status)
}

func (c *Client) unreadable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return c.explain(err)
	}
	return fmt.Errorf("%s: unreadable answer: %w", c.name, err)
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
