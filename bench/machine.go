package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A machine is where and with what it was measured.
type machine struct {
	Time       time.Time         `json:"time"`
	CPU        string            `json:"cpu"`
	CPUs       int               `json:"cpus"`
	MemoryMiB  int               `json:"memory_mib"`
	Kernel     string            `json:"kernel"`
	Go         string            `json:"go"`
	GOAMD64    string            `json:"goamd64,omitempty"`
	Load       string            `json:"load"` // before the first measurement
	Modules    map[string]string `json:"modules"`
	Revision   string            `json:"revision,omitempty"`
	GOMAXPROCS string            `json:"gomaxprocs,omitempty"` // of the environment
}

// thisMachine looks around.
func thisMachine(revision string) machine {
	m := machine{
		Time: time.Now().UTC().Truncate(time.Second),
		CPU:  field("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(),
		Kernel: line("/proc/sys/kernel/osrelease"), Go: runtime.Version(),
		Load:     line("/proc/loadavg"),
		Modules:  make(map[string]string),
		Revision: revision, GOMAXPROCS: os.Getenv("GOMAXPROCS"),
	}
	var kib int
	for _, c := range field("/proc/meminfo", "MemTotal") {
		if c >= '0' && c <= '9' {
			kib = kib*10 + int(c-'0')
		}
	}
	m.MemoryMiB = kib >> 10
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOAMD64" {
				m.GOAMD64 = s.Value
			}
		}
		for _, d := range info.Deps {
			switch d.Path {
			case "golang.zx2c4.com/wireguard", "golang.org/x/crypto", "github.com/gaissmai/bart":
				m.Modules[d.Path] = d.Version
			}
		}
	}
	return m
}

// line returns the first line of a file, or "".
func line(path string) string {
	b, _ := os.ReadFile(path) // "" says that it is not known
	first, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(first)
}

// field returns the value of the first "name: value" of a file, or "".
func field(path, name string) string {
	b, _ := os.ReadFile(path)
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
