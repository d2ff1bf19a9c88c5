package router

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"multihop/tun"
)

// TestCloseUnderLoad: start, load, close; no goroutine or descriptor is left.
// Most rounds' routers are closed while both directions carry packets. CI runs a
// thousand rounds by themselves: MULTIHOP_CLOSES=1000.
func TestCloseUnderLoad(t *testing.T) {
	rounds := 24
	if raceEnabled {
		rounds = 8
	}
	if s := os.Getenv("MULTIHOP_CLOSES"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		rounds = n
	}
	l := newLab(t, nil) // its relays and its configuration serve every round
	must(t, l.r.Close())
	far, near := farNet.Addr().Next(), nearNet.Addr().Next()
	runtime.GC()
	leaks := goleak.IgnoreCurrent()
	files := openFiles(t)
	loaded := 0
	for i := range rounds {
		// A relay takes no second initiation within 20 ms, nor one of the same
		// 16 ms, wireguard-go's unit of time: it would answer 5 s later.
		time.Sleep(40 * time.Millisecond)
		l.r = New(&l.r.opts)
		l.tun = tun.NewMemory(nil)
		must(t, l.r.SetTUN(l.tun))
		l.apply()
		done := make(chan error, 1)
		go func() { done <- l.r.Run(context.Background()) }()
		stop := l.flood(far, near)
		if i%4 == 0 { // while it starts, or handshakes
			time.Sleep(time.Duration(i%28) * time.Millisecond)
		} else { // while both directions carry packets, through both hops
			eventually(t, time.Minute, "traffic", func() bool { return inbound(l.r) > 0 })
		}
		if inbound(l.r) > 0 {
			loaded++
		}
		must(t, l.r.Close())
		stop()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) { // closed before it ran
			t.Fatal(err)
		}
		if err := l.r.Close(); err != nil {
			t.Fatalf("second Close: %v", err)
		}
	}
	if loaded < rounds/2 {
		t.Errorf("only %d of %d rounds had traffic in both directions", loaded, rounds)
	}
	if now := openFiles(t); now > files {
		t.Errorf("descriptors: %d before, %d after", files, now)
	}
	if err := goleak.Find(leaks); err != nil { // it retries for a while
		t.Error(err)
	}
}

// inbound returns how many packets of the exit reached the TUN.
func inbound(r *Router) uint64 {
	if h := r.table.Load().hop("exit"); h != nil {
		return h.in.Load()
	}
	return 0
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(list)
}

func TestClosed(t *testing.T) {
	l := newLab(t, nil)
	p, err := Compile(l.cfg)
	must(t, err)
	must(t, l.r.Close())
	for name, err := range map[string]error{
		"Apply":  l.r.Apply(context.Background(), p),
		"SetTUN": l.r.SetTUN(tun.NewMemory(nil)),
		"Run":    l.r.Run(context.Background()),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// TestContextEndsRun and TestTUNFails: how Run ends.
func TestContextEndsRun(t *testing.T) {
	l := newLab(t, nil)
	l.apply()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { l.done <- l.r.Run(ctx) }()
	eventually(t, 5*time.Second, "running", func() bool { return len(l.r.Status().Hops) == 3 })
	cancel()
	select {
	case err := <-l.done:
		must(t, err)
	case <-time.After(2 * time.Second):
		t.Fatal("Run goes on")
	}
}

func TestTUNFails(t *testing.T) {
	l := newLab(t, nil)
	l.apply()
	go func() { l.done <- l.r.Run(context.Background()) }()
	eventually(t, 5*time.Second, "running", func() bool { return len(l.r.Status().Hops) == 3 })
	must(t, l.tun.Close())
	select {
	case err := <-l.done:
		if !errors.Is(err, os.ErrClosed) {
			t.Fatalf("Run returned %v", err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("Run goes on")
	}
}

// TestNewTUN: a phone gets another descriptor; sessions survive, and with none
// packets are counted.
func TestNewTUN(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	n := countHandshakes(l.exit)
	must(t, l.r.SetTUN(nil))
	l.exit.Inject(udp(netip.AddrPortFrom(far, 7), netip.AddrPortFrom(exitTunnel, 4000), []byte("nobody")))
	eventually(t, 2*time.Second, "counted as no_tun", func() bool { return l.hop("exit").Drops["no_tun"] == 1 })
	l.tun = tun.NewMemory(nil)
	must(t, l.r.SetTUN(l.tun))
	if src, ok := l.exchange(far, 5*time.Second); !ok || src != exitTunnel {
		t.Fatalf("the host saw %v (%v)", src, ok)
	}
	if n.Load() != 0 {
		t.Fatal("the session did not survive")
	}
}

// TestCloseSockets: the same with the host's UDP sockets, towards a port of
// loopback where nobody listens: no descriptor is left, whether a round ends by
// Close, after NetworkChanged, or after hops were replaced.
func TestCloseSockets(t *testing.T) {
	rounds := 24
	l := newLab(t, nil)
	must(t, l.r.Close())
	l.cfg.Hops[0].Peers[0].Endpoint = "127.0.0.1:9"
	far, near := farNet.Addr().Next(), nearNet.Addr().Next()
	files := openFiles(t)
	opened := 0
	for i := range rounds {
		l.r = New(nil)
		l.tun = tun.NewMemory(nil)
		must(t, l.r.SetTUN(l.tun))
		l.apply()
		done := make(chan error, 1)
		go func() { done <- l.r.Run(context.Background()) }()
		eventually(t, 5*time.Second, "running", func() bool { return len(l.r.Status().Hops) == 3 })
		opened = max(opened, openFiles(t))
		stop := l.flood(far, near)
		switch i % 3 {
		case 1:
			must(t, l.r.NetworkChanged())
		case 2:
			l.cfg.Hops[0].PrivateKey = NewPrivateKey()
			l.apply()
		}
		must(t, l.r.Close())
		stop()
		must(t, <-done)
	}
	if opened <= files {
		t.Error("detector: no socket was ever open")
	}
	if now := openFiles(t); now > files {
		t.Errorf("descriptors: %d before, %d after", files, now)
	}
}
