package main

import (
	"fmt"
	"os"
	"testing"
)

// A lab is the testing.TB of one measurement: the packages that build networks
// for tests build them for it. Fatal ends the measurement, not the program.
type lab struct {
	testing.TB // nil: what is not below is not called

	name     string
	failed   bool
	cleanups []func()
}

// aborted is what Fatal panics with.
type aborted struct{ err error }

// inLab runs f with a lab, which ends with it.
func inLab(name string, f func(l *lab)) (err error) {
	l := &lab{name: name}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case aborted:
			l.failed = true
			err = p.err
		default:
			l.clean()
			panic(p)
		}
		l.clean()
	}()
	f(l)
	return nil
}

// sub runs f as a part that is cleaned up by itself.
func (l *lab) sub(f func(l *lab)) error { return inLab(l.name, f) }

func (l *lab) clean() {
	for len(l.cleanups) > 0 {
		last := len(l.cleanups) - 1
		f := l.cleanups[last]
		l.cleanups = l.cleanups[:last]
		f()
	}
}

func (l *lab) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }
func (l *lab) Helper()          {}
func (l *lab) Name() string     { return l.name }
func (l *lab) Failed() bool     { return l.failed }

func (l *lab) Fatal(args ...any) { panic(aborted{fmt.Errorf("%s: %s", l.name, fmt.Sprint(args...))}) }
func (l *lab) Fatalf(format string, args ...any) {
	panic(aborted{fmt.Errorf("%s: %s", l.name, fmt.Sprintf(format, args...))})
}
func (l *lab) Skip(args ...any) { l.Fatal(args...) }

func (l *lab) Error(args ...any) { l.failed = true; l.Log(args...) }
func (l *lab) Errorf(format string, args ...any) {
	l.failed = true
	l.Logf(format, args...)
}
func (l *lab) Log(args ...any) { fmt.Fprintln(os.Stderr, append([]any{l.name + ":"}, args...)...) }
func (l *lab) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, l.name+": "+format+"\n", args...)
}

// TempDir implements testing.TB: a folder that ends with the lab.
func (l *lab) TempDir() string {
	dir, err := os.MkdirTemp("", "multihop-bench-")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
