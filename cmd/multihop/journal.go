package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// isJournal reports whether f is connected to systemd's journal, which names its
// stream in the environment (systemd.exec(5)).
func isJournal(f *os.File) bool {
	stream := os.Getenv("JOURNAL_STREAM")
	return stream != "" && stream == journalStream(f)
}

// A journalHandler writes lines for the journal: each begins with its level, as
// sd-daemon(3) has it, and the journal knows the time.
type journalHandler struct {
	of [4]slog.Handler // by level: debug, info, warning, error
}

func newJournalHandler(w io.Writer, level slog.Level) *journalHandler {
	h := new(journalHandler)
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}
	for i, priority := range []int{7, 6, 4, 3} { // syslog(3)
		h.of[i] = slog.NewTextHandler(prefixed{w, fmt.Sprintf("<%d>", priority)}, o)
	}
	return h
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.of[0].Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	i := 0
	for i < len(h.of)-1 && r.Level > slog.LevelDebug+slog.Level(4*i) {
		i++
	}
	return h.of[i].Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := new(journalHandler)
	for i := range h.of {
		next.of[i] = h.of[i].WithAttrs(attrs)
	}
	return next
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	next := new(journalHandler)
	for i := range h.of {
		next.of[i] = h.of[i].WithGroup(name)
	}
	return next
}

// prefixed writes each line with something before it. slog's handlers write one
// line at a time, whole.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(b []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
