package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A progress tells who waits for an instance to be up how that goes: the
// terminal of run, or up, which reads messages at the other end of a pipe.
type progress struct {
	verbose bool // changes are told, too

	mu    sync.Mutex
	out   io.Writer         // nil: nobody listens
	extra func(line string) // told each change besides; nil: nobody
	heed  func(text string) // told each warning besides; nil: nobody
	done  func(error)       // tells that it is up, or why it will not be; nil: told
}

// newProgress prints to out.
func newProgress(out io.Writer, verbose bool) *progress {
	return &progress{out: out, verbose: verbose}
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
	if p.extra != nil {
		p.extra(line)
	}
}

// also has every change told to f, too; nil ends that.
func (p *progress) also(f func(line string)) {
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

// tellParent has p send messages through pipe, and close it after the last.
func tellParent(pipe io.WriteCloser, verbose bool) *progress {
	m := messages{json.NewEncoder(pipe)}
	p := newProgress(m, verbose)
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

// hearChild prints what a detached instance tells, until it is up or says why it
// is not. A pipe that ends before that is io.ErrUnexpectedEOF.
func hearChild(pipe io.Reader, out io.Writer) error {
	for d := json.NewDecoder(pipe); ; {
		var m message
		switch err := d.Decode(&m); {
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case m.Ready:
			return nil
		case m.Error != "":
			return childError(m.Error)
		}
		if _, err := io.WriteString(out, m.Text); err != nil {
			out = io.Discard // who reads it may have gone
		}
	}
}

// A childError is the error with which a detached instance ended.
type childError string

func (e childError) Error() string { return string(e) }
