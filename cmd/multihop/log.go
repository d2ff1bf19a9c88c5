package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"

	"multihop/router"
)

// newLogger logs to w: coloured and with short times on a terminal, else as
// key=value lines.
func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "" && os.Getenv("NO_COLOR") == ""
}

// onEvent returns an OnEvent that logs a hop's first handshake and, as a
// detail, the later ones, and gives a hop's new MTU to setMTU. The router logs by
// itself what goes up and down and which MTU it learned.
func onEvent(log *slog.Logger, setMTU func(hop string, mtu int)) func(router.Event) {
	done := make(map[string]bool)
	return func(e router.Event) {
		switch e.Kind {
		case router.EventDown:
			delete(done, e.Hop)
		case router.EventHandshake:
			say := log.Info
			if done[e.Hop] {
				say = log.Debug
			}
			done[e.Hop] = true
			say("handshake", "hop", e.Hop)
		case router.EventMTU:
			setMTU(e.Hop, e.MTU)
		}
	}
}
