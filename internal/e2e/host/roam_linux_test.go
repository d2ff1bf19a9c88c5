package host_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

// roamTime is how soon a connection goes on after the uplink has changed.
const roamTime = 5 * time.Second

// TestRoam changes the uplink under a connection through both hops: it goes on,
// and nothing leaves in clear.
func TestRoam(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name string
		roam func(n *host.Network)
	}{
		{"another address", func(n *host.Network) {
			n.Host.RemoveAddr("eth0", "192.168.7.2/24")
			n.Host.RemoveAddr("eth0", "2001:db8:7::2/64")
			n.Host.Addr("eth0", "192.168.7.3/24", "2001:db8:7::3/64")
			n.Host.Via("192.168.7.1", "0.0.0.0/0")
			n.Host.Via("2001:db8:7::1", "::/0")
		}},
		{"away for a while", func(n *host.Network) {
			n.Host.Down("eth0")
			time.Sleep(3 * time.Second)
			n.Host.Up("eth0")
			n.Host.Addr("eth0", "fd07::2/64", "2001:db8:7::2/64") // lost with the link
			n.Host.Via("192.168.7.1", "0.0.0.0/0")
			n.Host.Via("2001:db8:7::1", "::/0")
		}},
		{"another interface", func(n *host.Network) {
			n.Wire(n.Host, "wlan0", n.Internet, "eth9")
			n.Internet.Addr("eth9", "192.168.8.1/24", "2001:db8:8::1/64")
			n.Host.Addr("wlan0", "192.168.8.2/24", "2001:db8:8::2/64")
			n.Host.Down("eth0")
			n.Host.Via("192.168.8.1", "0.0.0.0/0")
			n.Host.Via("2001:db8:8::1", "::/0")
		}},
	} {
		for _, like := range host.EntryAddr().Both() {
			t.Run(fmt.Sprintf("%s, endpoint %v", f.name, like), func(t *testing.T) {
				t.Parallel()
				n := builds.Network(t)
				r := n.StartRelays(t)
				u := n.WatchUplink(t, nil, host.UplinkOptions{})
				i := n.Chain(t, "mh0", []host.File{r.EntryFile(like, everything), r.ExitFile(like, everything)})
				i.Up(t)
				v4, _ := site()
				s := connect(t, n, netip.AddrPortFrom(v4, host.EchoPort))
				s.moves(t, startTime)
				u.Mark(t)
				f.roam(n)
				s.moves(t, roamTime)
				time.Sleep(time.Second)
				s.moves(t, roamTime)
				s.close(t)
				bothHops(t, n)
				u.None(t, f.name)
				i.Down(t)
			})
		}
	}
}

// A stream is one connection to an echo server, on which data goes all the time
// and has to come back unchanged.
type stream struct {
	c    net.Conn
	back atomic.Int64 // bytes
	done chan error
}

func connect(t *testing.T, n *host.Network, to netip.AddrPort) *stream {
	t.Helper()
	s := &stream{done: make(chan error, 2)}
	err := n.Host.Do(func() (err error) {
		s.c, err = net.DialTimeout("tcp", to.String(), startTime)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.c.Close() })
	go func() { s.done <- s.write() }()
	go func() { s.done <- s.read() }()
	return s
}

const streamBlock = 16 << 10

func streamData(i int) []byte { return bytes.Repeat([]byte{byte(i)}, streamBlock) }

func (s *stream) write() error {
	for i := 0; ; i++ {
		if _, err := s.c.Write(streamData(i)); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *stream) read() error {
	b := make([]byte, streamBlock)
	for i := 0; ; i++ {
		if _, err := io.ReadFull(s.c, b); err != nil {
			return err
		}
		if !bytes.Equal(b, streamData(i)) {
			return fmt.Errorf("block %d came back changed", i)
		}
		s.back.Add(streamBlock)
	}
}

// moves checks that data comes back within a time.
func (s *stream) moves(t *testing.T, within time.Duration) {
	t.Helper()
	const enough = 4 * streamBlock // more than was on its way back
	before, start := s.back.Load(), time.Now()
	for s.back.Load() < before+enough {
		select {
		case err := <-s.done:
			t.Fatalf("the connection has ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(start) > within {
			t.Fatalf("the connection stands still for %v", within)
		}
	}
	t.Logf("went on after %v", time.Since(start).Round(10*time.Millisecond))
}

// close checks that nothing has ended the connection before.
func (s *stream) close(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		t.Errorf("the connection has ended: %v", err)
	default:
	}
	_ = s.c.Close()
}
