package leak_test

import (
	"strings"
	"syscall"
	"testing"

	"multihop/internal/e2e/host"
	"multihop/internal/netlab"
)

// TestPhases goes through an instance's life under traffic of every kind from
// the host and its guest: with the kill switch, nothing leaves in clear from the
// tunnel's first datagram until down.
func TestPhases(t *testing.T) {
	for _, like := range []string{"IPv4", "IPv6"} {
		t.Run("endpoints of "+like, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, sceneOptions{})
			s.detector(t)
			i := s.chain(t, like)

			pause(t, s.relays.Entry) // it says nothing: no answer, no error
			s.up(t, i)
			s.phase(t, "connecting", func() {})
			resume(t, s.relays.Entry)
			s.works(t, "up")
			s.silent(t, "exit", s.relays.Exit)
			s.silent(t, "entry", s.relays.Entry)
			s.reload(t, i, like)

			s.phase(t, "kill -9", func() { i.Kill(t) })
			s.phase(t, "restart", func() { i.Up(t) })
			s.works(t, "after the restart")

			s.phase(t, "kill -9 again", func() { i.Kill(t) })
			i.Down(t)
			s.open(t, "after kill -9 and down")

			s.up(t, i)
			s.works(t, "up again")
			i.Down(t)
			s.open(t, "after down")
		})
	}
}

// silent takes a relay away for a while.
func (s *scene) silent(t *testing.T, name string, relay *netlab.Tunnel) {
	t.Helper()
	s.phase(t, name+" down", func() {
		pause(t, relay)
		s.inside.Run(t, 2*moment)
	})
	s.phase(t, name+" returns", func() { resume(t, relay) })
	s.works(t, "after the "+name+" returned")
}

func pause(t *testing.T, relay *netlab.Tunnel)  { signal(t, relay, syscall.SIGSTOP) }
func resume(t *testing.T, relay *netlab.Tunnel) { signal(t, relay, syscall.SIGCONT) }

func signal(t *testing.T, relay *netlab.Tunnel, sig syscall.Signal) {
	t.Helper()
	if err := relay.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// reload reads the same files again, then changed ones, then the first again,
// and then broken ones, which change nothing.
func (s *scene) reload(t *testing.T, i *host.Instance, like string) {
	t.Helper()
	s.phase(t, "reload of the same", func() { i.Reload(t) })
	entry, exit := s.files(like)
	changed := exit
	changed.Text = strings.Replace(exit.Text, "[Peer]", "MTU = 1300\n[Peer]\nPersistentKeepalive = 5", 1)
	s.phase(t, "reload of changed files", func() {
		s.Write(t, "/etc/chain", changed)
		i.Reload(t)
	})
	s.works(t, "after a reload")
	s.phase(t, "reload of the first files", func() {
		s.Write(t, "/etc/chain", exit)
		i.Reload(t)
	})
	s.phase(t, "reload of broken files", func() {
		broken := entry
		broken.Text = strings.Replace(entry.Text, "AllowedIPs", "AlowedIPs", 1)
		s.Write(t, "/etc/chain", broken)
		if out, err := s.Multihop("reload", i.Name); err == nil || !strings.Contains(out, "AlowedIPs") {
			t.Errorf("reload of a file with an unknown key: %v\n%s", err, out)
		}
		s.Write(t, "/etc/chain", entry)
	})
	s.works(t, "after reloads")
}

// TestReversePathFilter brings an instance up and down at each setting of
// rp_filter.
func TestReversePathFilter(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name  string
		value int
	}{{"off", 0}, {"strict", 1}, {"loose", 2}} {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t, sceneOptions{rpFilter: f.value})
			s.detector(t)
			i := s.chain(t, "IPv4")
			s.up(t, i)
			s.works(t, "up")
			i.Down(t)
			s.open(t, "after down")
		})
	}
}
