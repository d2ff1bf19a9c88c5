package main

import (
	"os"
	"strconv"
	"strings"
)

// maxAncestors bounds the way up to the first process.
const maxAncestors = 64

// environmentsAbove returns the environments of process pid and of those above
// it, as far as they may be read.
func environmentsAbove(pid int) [][]string {
	var out [][]string
	for range maxAncestors {
		if pid <= 1 {
			break
		}
		dir := "/proc/" + strconv.Itoa(pid)
		if env, err := os.ReadFile(dir + "/environ"); err == nil {
			out = append(out, strings.Split(string(env), "\x00"))
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			break
		}
		pid = parentIn(string(status))
	}
	return out
}

// parentIn returns the parent that /proc/PID/status names; 0: none.
func parentIn(status string) int {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}
