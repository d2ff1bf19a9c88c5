package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"multihop/internal/sock"
	"multihop/router/control"
)

// Bounds of what a client may hold.
const (
	maxConns   = 32
	maxHeader  = 16 << 10
	ioTimeout  = 10 * time.Second
	closeGrace = time.Second
)

const suffix = ".sock"

// Listen listens on the socket of the instance name in dir. Its error wraps
// sock.ErrInUse if an instance of that name runs.
func Listen(dir, name string) (net.Listener, error) {
	l, err := sock.Listen(dir, sock.PrivateDir, name+suffix)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// Serve answers on l for s until ctx ends, then closes l and feed and waits for
// the answers under way, a second at most. A nil feed has no events, a nil log
// discards the server's own complaints.
func Serve(ctx context.Context, l net.Listener, s Source, feed *Feed, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	server := &http.Server{
		Handler:        control.NewHandler(s, feed),
		ReadTimeout:    ioTimeout,
		WriteTimeout:   ioTimeout,
		IdleTimeout:    ioTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if feed != nil {
		server.RegisterOnShutdown(feed.Close)
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(netutil.LimitListener(l, maxConns))
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return errors.Join(fmt.Errorf("control socket: %w", err), server.Close())
}
