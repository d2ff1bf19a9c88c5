//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestJournalHandler(t *testing.T) {
	var got bytes.Buffer
	log := slog.New(newJournalHandler(&got, slog.LevelInfo)).With("tun", "mh0")
	log.Debug("hidden")
	log.Info("up", "hops", 2)
	log.WithGroup("g").Warn("so so", "time", "noon")
	log.Error("bad")
	want := "<6>msg=up tun=mh0 hops=2\n<4>msg=\"so so\" tun=mh0 g.time=noon\n<3>msg=bad tun=mh0\n"
	if got.String() != want {
		t.Errorf("%q, want %q", got.String(), want)
	}
}

// The journal is told who speaks, then gets the lines; and a process that has
// inherited the stream knows it by its device and inode.
func TestOpenJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stdout")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		all, _ := io.ReadAll(bufio.NewReader(c))
		heard <- string(all)
	}()
	f, err := openJournal(path, "multihop-mh0")
	if err != nil {
		t.Fatal(err)
	}
	if newLogger(f, false).Info("not the journal's form"); isJournal(f) {
		t.Error("taken for the journal though the environment does not say so")
	}
	t.Setenv("JOURNAL_STREAM", journalStream(f))
	if !isJournal(f) {
		t.Errorf("not taken for the journal: %s", journalStream(f))
	}
	newLogger(f, false).Info("up")
	f.Close()
	got := <-heard
	head, rest, _ := strings.Cut(got, "0\n0\n0\n")
	if head != "multihop-mh0\n\n6\n1\n" || !strings.HasPrefix(rest, "time=") || !strings.HasSuffix(rest, "\n<6>msg=up\n") {
		t.Errorf("the journal got %q", got)
	}
}
