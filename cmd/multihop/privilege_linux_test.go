package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"multihop/conf"
	"multihop/router"
)

// dropped is set, to the privileges to keep, in the process that gives the
// others up.
const dropped = "MULTIHOP_TEST_DROP"

// dropMain is the process: with threads that were there before, it drops
// privileges and prints what each thread has.
func dropMain(kind string) {
	p := map[string]privileges{"plain": {}, "netns": {netns: true}, "low ports": {lowPorts: true}, "foreign files": {foreign: true}, "hooks": {all: true}}[kind]
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err == nil && len(threads) < 2 {
		err = errors.New("there is one thread alone")
	}
	if err == nil {
		err = p.drop()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "CapEff:") || strings.HasPrefix(line, "CapBnd:") || strings.HasPrefix(line, "NoNewPrivs:") {
				fmt.Println("thread: " + strings.Join(strings.Fields(line), " "))
			}
		}
	}
	os.Exit(0)
}

func TestDropPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		skipOrFail(t, "needs root, to have privileges that can be given up")
	}
	tests := []struct {
		kind string
		caps string // effective and bounding
		nnp  string
	}{
		{"plain", "0000000000001000", "1"},
		{"netns", "0000000000201000", "1"},
		{"low ports", "0000000000001400", "1"},
		{"foreign files", "0000000000001004", "1"},
		{"hooks", "", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe", "-test.run", "^$")
			cmd.Args[0] = os.Args[0]
			cmd.Env = append(os.Environ(), dropped+"="+tt.kind)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			n := 0
			for line := range strings.Lines(string(out)) {
				_, said, ok := strings.Cut(strings.TrimSpace(line), "thread: ")
				if !ok {
					continue
				}
				n++
				name, value, _ := strings.Cut(said, ": ")
				want := tt.caps
				if name == "NoNewPrivs" {
					want = tt.nnp
				}
				if want != "" && value != want {
					t.Errorf("%s, want %s", said, want)
				}
			}
			if n < 6 {
				t.Errorf("only %d lines about threads:\n%s", n, out)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := &conf.Instance{Files: []string{file}}
	if got := needs(plain); got != (privileges{}) {
		t.Errorf("a plain chain needs %+v", got)
	}
	all := &conf.Instance{
		Settings: conf.Settings{Netns: "x", PostDown: []conf.Hook{{Command: "true"}}},
		Config:   router.Config{Hops: []router.Hop{{ListenPort: 443}}},
	}
	if got, want := needs(all), (privileges{all: true, netns: true, lowPorts: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 1000, 1000); err != nil {
			t.Fatal(err)
		}
		if got := needs(plain); !got.foreign || len(got.keep()) != 2 || got.keep()[1] != cap.DAC_READ_SEARCH {
			t.Errorf("somebody else's file needs %+v", got)
		}
	}
}

func TestCover(t *testing.T) {
	tests := []struct {
		had, need privileges
		want      bool
	}{
		{privileges{}, privileges{}, true},
		{privileges{}, privileges{all: true}, false},
		{privileges{all: true}, privileges{netns: true, foreign: true}, true},
		{privileges{foreign: true}, privileges{}, true},
		{privileges{foreign: true}, privileges{lowPorts: true}, false},
	}
	for _, tt := range tests {
		if got := tt.had.cover(tt.need); got != tt.want {
			t.Errorf("%+v covers %+v: %v", tt.had, tt.need, got)
		}
	}
}

// skipOrFail skips, or fails where every test is to run.
func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
