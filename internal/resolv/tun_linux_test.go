package resolv

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"multihop/internal/lookup"
)

// A wire is a TUN whose other end notes the names that are asked for.
type wire struct {
	f *os.File

	mu    sync.Mutex
	names []string
}

// newWire makes a TUN of that name and address, up, until the test ends or
// close.
func newWire(t *testing.T, name, prefix string) *wire {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	w := &wire{f: os.NewFile(uintptr(fd), name)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.read()
	}()
	t.Cleanup(func() {
		w.close()
		<-done
	})
	run(t, "ip", "addr", "add", prefix, "dev", name)
	run(t, "ip", "link", "set", name, "up")
	return w
}

func (w *wire) close() { _ = w.f.Close() }

// read notes until the TUN is closed.
func (w *wire) read() {
	b := make([]byte, 2048)
	for {
		n, err := w.f.Read(b)
		if err != nil {
			return
		}
		const headers = 20 + 8 // IPv4 without options, UDP
		if n < headers || b[0] != 0x45 || b[9] != unix.IPPROTO_UDP || b[22] != 0 || b[23] != 53 {
			continue
		}
		var p dnsmessage.Parser
		if _, err := p.Start(b[headers:n]); err != nil {
			continue
		}
		if q, err := p.Question(); err == nil {
			w.mu.Lock()
			w.names = append(w.names, strings.ToLower(q.Name.String()))
			w.mu.Unlock()
		}
	}
}

// saw reports whether the name was asked for here.
func (w *wire) saw(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.names, name)
}

// ask looks a name up as a program does, at the servers of resolv.conf, and
// checks that the question leaves by one wire and not by the other. Nobody
// answers it.
func ask(t *testing.T, name string, by, not *wire) {
	t.Helper()
	file, err := os.ReadFile(resolvConf)
	if err != nil {
		t.Fatal(err)
	}
	c := &lookup.Client{Hosts: os.DevNull}
	for _, a := range nameservers(file) {
		c.Servers = append(c.Servers, netip.AddrPortFrom(a, 53))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	asked.Go(func() { _, _, _ = c.Lookup(ctx, name) })
	defer asked.Wait()
	defer cancel()
	wait(t, name+" is asked for", func() bool { return by.saw(name) || not.saw(name) })
	time.Sleep(50 * time.Millisecond)
	if !by.saw(name) || not.saw(name) {
		t.Errorf("%s: asked at the right place: %v, at the wrong one: %v", name, by.saw(name), not.saw(name))
	}
}
