package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

const (
	meterEvery = 100 * time.Millisecond // on a terminal
	linesEvery = 3 * time.Second        // elsewhere
)

// A meter shows how many of many changes are made: on a terminal in one line that
// is written over and vanishes, elsewhere in a line now and then. Its zero value
// shows nothing. It is not safe for concurrent use.
type meter struct {
	out      io.Writer // nil: nowhere
	terminal bool
	last     time.Time // when it was last shown
	shown    bool      // there is a line to be cleared
}

// newMeter shows on out.
func newMeter(out io.Writer) *meter {
	f, ok := out.(*os.File)
	return &meter{out: out, terminal: ok && isTerminal(f), last: time.Now()}
}

func (m *meter) show(done, total int) {
	if done == total {
		m.clear()
		return
	}
	every := linesEvery
	if m.terminal {
		every = meterEvery
	}
	now := time.Now()
	if m.out == nil || now.Sub(m.last) < every {
		return
	}
	m.last = now
	text := fmt.Sprintf("%d of %d changes to the host (%d %%)", done, total, 100*done/max(total, 1))
	if !m.terminal {
		fmt.Fprintln(m.out, text)
		return
	}
	fmt.Fprintf(m.out, "\r\x1b[K%s", text) // ECMA-48: erase in line
	m.shown = true
}

// clear removes the line.
func (m *meter) clear() {
	if m.shown {
		fmt.Fprint(m.out, "\r\x1b[K")
		m.shown = false
	}
}
