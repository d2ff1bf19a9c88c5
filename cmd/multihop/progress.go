package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A progress tells who waits for an instance to be up how that goes: the
// terminal of run, or up, which reads messages at the other end of a pipe.
type progress struct {
	verbose bool // changes are told, too

	mu      sync.Mutex
	counted time.Time                     // when count was last told
	out     io.Writer                     // nil: nobody listens
	count   func(done, total int)         // told how many of many changes are made; nil: nobody
	extra   func(line string) (more bool) // told each change besides, until it returns false; nil: nobody
	heed    func(text string)             // told each warning besides; nil: nobody
	done    func(error)                   // tells that it is up, or why it will not be; nil: told
}

// newProgress prints to out, and how far many changes are as m shows it.
func newProgress(out io.Writer, verbose bool, m *meter) *progress {
	return &progress{out: out, verbose: verbose, count: m.show}
}

// plan prints the plan, after what is to be known about it.
func (p *progress) plan(tun string, d *desired) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		writeWarnings(p.out, d.warnings)
		_ = writePlan(p.out, tun, d.plan, d.conf.LeftOut) // who reads it may have gone
	}
}

// trace tells of a change to the host that is about to be made.
func (p *progress) trace(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.verbose && p.out != nil {
		fmt.Fprintln(p.out, line)
	}
	if p.extra != nil && !p.extra(line) {
		p.extra = nil
	}
}

// traced reports whether somebody is told of changes.
func (p *progress) traced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.verbose && p.out != nil || p.extra != nil
}

// changes tells, now and then, how many of many changes are made.
func (p *progress) changes(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.count != nil && p.out != nil && (done == total || now.Sub(p.counted) >= meterEvery) {
		p.counted = now
		p.count(done, total)
	}
}

// also has every change told to f, too, until that returns false; nil ends that.
func (p *progress) also(f func(line string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.extra = f
}

// warn tells who waits elsewhere of something that is not as it should be; a
// terminal has it from the log.
func (p *progress) warn(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil && p.done != nil {
		fmt.Fprintf(p.out, "warning: %s\n", text)
	}
	if p.heed != nil {
		p.heed(text)
	}
}

// alsoWarn has every warning told to f, too; nil ends that.
func (p *progress) alsoWarn(f func(text string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heed = f
}

// ready tells that the instance is up.
func (p *progress) ready() { p.conclude(nil) }

// failed tells why it never will be, nil for being asked to end; once it was up,
// that is for the log alone.
func (p *progress) failed(err error) {
	if err == nil {
		err = errors.New("interrupted")
	}
	p.conclude(err)
}

func (p *progress) conclude(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return
	}
	p.done(err)
	p.done, p.out = nil, nil
}

// A message is what a detached instance tells the process that started it, one
// JSON object a line.
type message struct {
	Text  string `json:"text,omitempty"` // to be printed as it is
	Done  int    `json:"done,omitempty"` // changes, of Total
	Total int    `json:"total,omitempty"`
	Ready bool   `json:"ready,omitempty"`
	Error string `json:"error,omitempty"` // why it never will be
}

// messages writes what is printed as messages.
type messages struct{ *json.Encoder }

func (m messages) Write(b []byte) (int, error) {
	if err := m.Encode(message{Text: string(b)}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// count sends how many of many changes are made.
func (m messages) count(done, total int) { _ = m.Encode(message{Done: done, Total: total}) }

// tellParent has p send messages through pipe, and close it after the last.
func tellParent(pipe io.WriteCloser, verbose bool) *progress {
	m := messages{json.NewEncoder(pipe)}
	p := &progress{out: m, verbose: verbose, count: m.count}
	p.done = func(err error) {
		last := message{Ready: err == nil}
		if err != nil {
			last.Error = oneLine(err)
		}
		_ = m.Encode(last) // a parent that has gone need not know
		_ = pipe.Close()
	}
	return p
}

// hearChild prints what a detached instance tells, and has m show how far it is,
// until it is up or says why it is not. A pipe that ends before that is
// io.ErrUnexpectedEOF.
func hearChild(pipe io.Reader, out io.Writer, m *meter) error {
	defer m.clear()
	for d := json.NewDecoder(pipe); ; {
		var said message
		switch err := d.Decode(&said); {
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case said.Ready:
			return nil
		case said.Error != "":
			return childError(said.Error)
		case said.Total > 0:
			m.show(said.Done, said.Total)
			continue
		}
		m.clear()
		if _, err := io.WriteString(out, said.Text); err != nil {
			out = io.Discard // who reads it may have gone
		}
	}
}

// A childError is the error with which a detached instance ended.
type childError string

func (e childError) Error() string { return string(e) }
