package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who changes something is alive while that goes on.
func TestAlive(t *testing.T) {
	alive := func(h *Host, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return h.Alive(ctx)
	}
	h := &Host{k: &kernel{tun: "mh0"}}
	if err := alive(h, time.Second); err != nil {
		t.Errorf("idle: %v", err)
	}
	h.mu.Lock()
	if err := alive(h, 3*aliveLook); err == nil {
		t.Error("alive, though a change stands still")
	}
	end := make(chan struct{})
	going := time.AfterFunc(2*aliveLook, func() { _ = h.k.try("a call", func() error { close(end); return nil }) })
	defer going.Stop()
	if err := alive(h, 10*time.Second); err != nil {
		t.Errorf("while a change goes on: %v", err)
	}
	<-end
	h.mu.Unlock()
}

// A D-Bus that says nothing keeps nobody but who asks it.
func TestDNSHangs(t *testing.T) {
	needTools(t)
	newHost(t)
	h := openHost(t, t.TempDir())
	h.k.dns.Root = dnsRoot(t)
	c := fullConfig()
	c.DNS.Servers = []netip.Addr{netip.MustParseAddr("10.20.0.53")}
	apply(t, h, c)

	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	asked := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked <- c // and no answer
		}
	}()
	h.k.dns.Bus = "unix:path=" + path
	done := make(chan struct{})
	go func() { h.restoreDNS(); close(done) }()
	stuck := <-asked
	start := time.Now()
	h.follow()
	must(t, h.SetRouteMTU("10.20.0.0/16", 1290))
	must(t, h.Alive(t.Context()))
	select {
	case <-done:
		t.Fatal("the detector is blind: the bus did answer")
	default:
	}
	t.Logf("others waited for %v", time.Since(start))
	must(t, stuck.Close())
	<-done
	h.k.dns.Bus = "unix:path=/nonexistent"
	must(t, h.Close())
}

// What a crash leaves of a journal that was being written does not stay.
func TestJournalCutShort(t *testing.T) {
	dir := t.TempDir()
	j := &journal{path: filepath.Join(dir, "mh0.json"), Name: "mh0"}
	must(t, os.WriteFile(j.next(), []byte(`{"Na`), 0o600))
	j.Mark = 7
	must(t, j.write())
	must(t, os.WriteFile(j.next(), []byte(`{"Na`), 0o600))
	if again, err := readJournal(dir, "mh0"); err != nil || again.Mark != 7 {
		t.Errorf("journal %+v, %v", again, err)
	}
	if others := otherJournals(dir, "mh1"); len(others) != 1 {
		t.Errorf("journals %+v, want one", others)
	}
	must(t, j.end())
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
