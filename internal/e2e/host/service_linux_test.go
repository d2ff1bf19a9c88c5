package host_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/e2e/host"
)

// watchdogPeriod is the unit's WatchdogSec.
const watchdogPeriod = 2 * time.Second

// A notice is what a service tells its manager (sd_notify(3)).
type notice struct {
	text string
	at   time.Time
}

// A serviceManager listens as systemd does.
type serviceManager struct {
	mu   sync.Mutex
	said []notice
}

// manage listens on /run/notify of the host.
func manage(t *testing.T, n *host.Network) *serviceManager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(n.Host.Root(), "run/notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := new(serviceManager)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			k, err := c.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, notice{string(b[:k]), time.Now()})
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return m
}

// since returns what was said from a moment on and matches a pattern.
func (m *serviceManager) since(from time.Time, pattern string) (found []notice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.said {
		if !s.at.Before(from) && regexp.MustCompile("(?m)^"+pattern+"$").MatchString(s.text) {
			found = append(found, s)
		}
	}
	return found
}

// hears waits until something that matches is said, from a moment on.
func (m *serviceManager) hears(t *testing.T, from time.Time, pattern string, within time.Duration) notice {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found := m.since(from, pattern); len(found) > 0 {
			return found[0]
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.Fatalf("the service manager does not hear %s within %v, but %+v", pattern, within, m.said)
	return notice{}
}

// TestService runs an instance as systemd's Type=notify-reload does: it says when
// it is up, reloads and stops, and that it lives, but only while it does.
func TestService(t *testing.T) {
	t.Parallel()
	n := builds.Network(t)
	r := n.StartRelays(t)
	before := n.State(t)
	m := manage(t, n)
	var args []string
	for _, f := range files(r) {
		args = append(args, n.Write(t, "/etc/chain", f))
	}
	start := time.Now()
	p := n.Host.Start(t, []string{"NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=2000000"},
		n.Programs.Multihop, append([]string{"run", "--name", "mh0"}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	i := n.Instance(t, "mh0")
	ready := m.hears(t, start, "READY=1", startTime)
	if well := m.hears(t, start, "WATCHDOG=1", 2*watchdogPeriod); well.at.Before(ready.at) {
		t.Error("it is well before it is up")
	}
	bothHops(t, n)
	m.hears(t, start, "STATUS=mh0: running.*", startTime)

	t.Run("watchdog", func(t *testing.T) {
		from := time.Now()
		time.Sleep(3*watchdogPeriod + watchdogPeriod/4)
		told := m.since(from, "WATCHDOG=1")
		if len(told) < 12 || len(told) > 20 {
			t.Errorf("told of %d times in 3 periods, want six a period", len(told))
		}
		for k := 1; k < len(told); k++ {
			if gap := told[k].at.Sub(told[k-1].at); gap > watchdogPeriod*3/4 {
				t.Errorf("nothing for %v", gap)
			}
		}
	})

	t.Run("reload", func(t *testing.T) {
		from := time.Now()
		var lower unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &lower); err != nil {
			t.Fatal(err)
		}
		i.Reload(t)
		began := m.hears(t, from, "RELOADING=1", time.Second)
		usec := regexp.MustCompile(`(?m)^MONOTONIC_USEC=([0-9]+)$`).FindStringSubmatch(began.text)
		if usec == nil {
			t.Fatalf("no time in %q", began.text)
		}
		if at, err := strconv.ParseInt(usec[1], 10, 64); err != nil || at < lower.Nano()/1000 || at > lower.Nano()/1000+10e6 {
			t.Errorf("%q, want a time right after %d", began.text, lower.Nano()/1000)
		}
		if ready := m.hears(t, from, "READY=1", time.Second); ready.at.Before(began.at) {
			t.Error("ready before it reloads")
		}
	})

	// A lock that somebody else keeps: what changes the host waits for it, and
	// with it all that has to be restored.
	t.Run("hangs", func(t *testing.T) {
		lock, err := os.OpenFile(filepath.Join(n.Host.Root(), "run/multihop/.lock"), os.O_RDWR, 0)
		if err == nil {
			defer lock.Close()
			err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := n.Multihop("reload", "mh0")
			done <- err
		}()
		time.Sleep(watchdogPeriod) // until it hangs
		from := time.Now()
		time.Sleep(2 * watchdogPeriod)
		if told := m.since(from, "WATCHDOG=1"); len(told) > 0 {
			t.Errorf("told %d times that it is well, while it hangs", len(told))
		}
		bothHops(t, n) // packets do not wait for it
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("the reload that hung: %v", err)
		}
		m.hears(t, time.Now(), "WATCHDOG=1", 2*watchdogPeriod)
	})

	from := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears(t, from, "STOPPING=1", 5*time.Second)
	if err, ok := p.Wait(startTime); !ok || err != nil {
		t.Errorf("end by SIGTERM: %v, ended %v", err, ok)
	}
	if strings.Contains(p.Output(), "WARNING: DATA RACE") {
		t.Error("a data race")
	}
	if err := os.Remove(filepath.Join(n.Host.Root(), "run/notify")); err != nil {
		t.Error(err)
	}
	n.Same(t, before, "after the end")
}
