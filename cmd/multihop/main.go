// Multihop is a WireGuard client with one TUN device and many tunnels: each may
// be carried by another, and each destination prefix names the one it takes.
//
// Run "multihop --help" for the commands. The exit status is 0, or 1 with one
// line on stderr that says what is wrong; status and exec have others.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

// run executes one command and returns the exit status. Ctrl-C, SIGTERM and the
// loss of the terminal end its context; a second one ends the process at once.
func run(args []string, stderr io.Writer) int {
	if err := noCoreDumps(); err != nil { // most commands have keys in memory
		fmt.Fprintln(stderr, "multihop:", err)
		return 1
	}
	end := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		end = append(end, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), end...)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRootCommand()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		if own := (*statusError)(nil); errors.As(err, &own) {
			return own.code
		}
		fmt.Fprintln(stderr, "multihop:", oneLine(err))
		return 1
	}
	return 0
}

// oneLine returns an error's text without line breaks: those of cobra's
// suggestions, and between errors that were joined.
func oneLine(err error) string {
	var b strings.Builder
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if b.Len() > 0 {
			if strings.HasSuffix(b.String(), ":") || strings.HasSuffix(b.String(), "?") {
				b.WriteString(" ")
			} else {
				b.WriteString("; ")
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// eachError returns the errors that err joins, in order; err itself if it joins
// none.
func eachError(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		if s := joined.Unwrap(); len(s) > 0 && errors.Join(s...).Error() == err.Error() {
			return s
		}
	}
	return []error{err}
}
