package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc's CPU times.
const tick = 10 * time.Millisecond

// family returns a process and all that it started.
func family(pid int) []int {
	all := []int{pid}
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // none: it has ended
	for _, t := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for s := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(s); err == nil {
				all = append(all, family(child)...)
			}
		}
	}
	return all
}

// cpu is the time that processes and their children have spent, user and system.
func cpu(pids []int) time.Duration {
	var sum time.Duration
	for _, root := range pids {
		for _, pid := range family(root) {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
			if len(f) < 13 {
				continue
			}
			user, _ := strconv.Atoi(string(f[14-3]))
			sys, _ := strconv.Atoi(string(f[15-3]))
			sum += time.Duration(user+sys) * tick
		}
	}
	return sum
}

// threads is what the threads of processes and their children have done so far. It is
// blind for threads that have ended.
type threads struct {
	wakeUps float64 // times that one slept and ran again
	ran     float64 // nanoseconds by the scheduler's clock: finer than cpu; not a number where the kernel does not say
}

func threadsOf(pids []int) threads {
	var sum threads
	for _, root := range pids {
		for _, pid := range family(root) {
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // none: it has ended
			for _, t := range tasks {
				dir := fmt.Sprintf("/proc/%d/task/%s/", pid, t.Name())
				n, _ := strconv.Atoi(field(dir+"status", "voluntary_ctxt_switches"))
				first, _, _ := strings.Cut(line(dir+"schedstat"), " ")
				ns, err := strconv.ParseFloat(first, 64)
				if err != nil {
					ns = math.NaN()
				}
				sum.wakeUps += float64(n)
				sum.ran += ns
			}
		}
	}
	return sum
}

func (t threads) minus(before threads) threads {
	return threads{t.wakeUps - before.wakeUps, t.ran - before.ran}
}

// rss is a figure of /proc/PID/status of processes and their children, in MiB:
// VmHWM is the peak, VmRSS the present.
func rss(pids []int, name string) float64 {
	var kib int
	for _, root := range pids {
		for _, pid := range family(root) {
			v, _ := strconv.Atoi(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), name), " kB"))
			kib += v
		}
	}
	return float64(kib) / 1024
}

// processCPU is the time that this process has spent, user and system.
func processCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
