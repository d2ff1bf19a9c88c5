package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// A pipe of messages: what the child prints and how it ends is what the parent
// prints and returns.
func TestMessages(t *testing.T) {
	tests := []struct {
		name  string
		child func(*progress)
		want  string
		err   string
	}{
		{"up", func(p *progress) { p.trace("[#] a"); p.ready() }, "[#] a\n", ""},
		{"fails", func(p *progress) {
			p.trace("[#] a")
			p.failed(errors.Join(errors.New("first"), errors.New("second")))
		}, "[#] a\n", "first; second"},
		{"asked to end", func(p *progress) { p.failed(nil) }, "", "interrupted"},
		{"nothing after it is up", func(p *progress) { p.ready(); p.trace("[#] later"); p.failed(errors.New("later")) }, "", ""},
		{"vanishes", func(*progress) {}, "", io.ErrUnexpectedEOF.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w := io.Pipe()
			go func() {
				tt.child(tellParent(w, true))
				w.Close()
			}()
			var out strings.Builder
			err := hearChild(r, &out, new(meter))
			r.Close()
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if out.String() != tt.want {
				t.Errorf("printed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// Changes are told a listener also when they are not printed.
func TestProgressAlso(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false, new(meter))
	var heard []string
	if p.traced() {
		t.Error("traced, though nobody listens")
	}
	p.also(func(line string) bool {
		heard = append(heard, line)
		return len(heard) < 2
	})
	if !p.traced() {
		t.Error("not traced, though somebody listens")
	}
	for _, line := range []string{"[#] a", "[#] b", "[#] c"} {
		p.trace(line)
	}
	p.ready()
	if out.Len() != 0 || !slices.Equal(heard, []string{"[#] a", "[#] b"}) || p.traced() {
		t.Errorf("printed %q, heard %q, traced %v", out.String(), heard, p.traced())
	}
}

// How far many changes are is told by a line now and then, and on a terminal by
// one line that vanishes.
func TestMeter(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name     string
		terminal bool
		want     string
	}{
		{"file", false, "500000 of 2000000 changes to the host (25 %)\n"},
		{"terminal", true, "\r\x1b[K500000 of 2000000 changes to the host (25 %)\r\x1b[K"},
	} {
		r, w := io.Pipe()
		go func() {
			p := tellParent(w, false)
			p.changes(500_000, 2_000_000)
			p.changes(500_001, 2_000_000) // at once
			p.ready()
			p.changes(500_002, 2_000_000)
		}()
		var out strings.Builder
		m := &meter{out: &out, terminal: tt.terminal, last: long}
		if err := hearChild(r, io.Discard, m); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v, shown %q, want %q", tt.name, err, out.String(), tt.want)
		}
	}
}
