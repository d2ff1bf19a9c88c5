package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
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
			err := hearChild(r, &out)
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
	p := newProgress(&out, false)
	var heard []string
	p.also(func(line string) { heard = append(heard, line) })
	p.trace("[#] a")
	p.also(nil)
	p.trace("[#] b")
	p.ready()
	if out.Len() != 0 || len(heard) != 1 || heard[0] != "[#] a" {
		t.Errorf("printed %q, heard %q", out.String(), heard)
	}
}
