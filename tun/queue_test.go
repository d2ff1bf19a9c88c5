package tun

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	wgtun "golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/netstack"
)

// A stuck is a device whose Write waits until Close, as that of a device
// without a reader does.
type stuck struct {
	*Memory
	closed chan struct{}
	once   sync.Once
}

func newStuck() *stuck { return &stuck{Memory: NewMemory(nil), closed: make(chan struct{})} }

func (s *stuck) Write([][]byte, int) (int, error) {
	<-s.closed
	return 0, os.ErrClosed
}

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Memory.Close()
}

func TestQueuePasses(t *testing.T) {
	defer goleak.VerifyNone(t)
	m := NewMemory(&MemoryOptions{Name: "app", MTU: 1300, Batch: 3})
	q := Queue(m)
	defer q.Close()
	name, _ := q.Name()
	mtu, _ := q.MTU()
	if name != "app" || mtu != 1300 || q.BatchSize() < 3 || q.Events() != m.Events() || q.File() != nil {
		t.Fatal(name, mtu, q.BatchSize())
	}
	pkts := packets(40, 60)
	m.Inject(pkts)
	bufs, sizes := buffers(16, 16+60)
	for i := 0; i < len(pkts); {
		n, err := q.Read(bufs, sizes, 16)
		if err != nil {
			t.Fatal(err)
		}
		for j := range n {
			if !bytes.Equal(bufs[j][16:16+sizes[j]], pkts[i]) {
				t.Fatalf("packet %d differs", i)
			}
			i++
		}
	}
	for i := range pkts {
		if n, err := q.Write(pkts[i:i+1], 0); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	for i := 0; i < len(pkts); {
		n, err := m.ReadPackets(t.Context(), bufs, sizes)
		if err != nil {
			t.Fatal(err)
		}
		for j := range n {
			if !bytes.Equal(bufs[j][:sizes[j]], pkts[i]) {
				t.Fatalf("packet %d differs", i)
			}
			i++
		}
	}
	if d := q.Drops(); d != (Drops{}) {
		t.Fatalf("drops %+v", d)
	}
}

// TestQueueWriteNeverWaits: also when the device does.
func TestQueueWriteNeverWaits(t *testing.T) {
	defer goleak.VerifyNone(t)
	q := Queue(newStuck())
	const n = 3 * queueSlots
	pkts := packets(n, 40)
	if got, err := q.Write(pkts, 0); got != n || err != nil {
		t.Fatal(got, err)
	}
	// The first batch may wait in the device; the rest is queued or dropped.
	if d := q.Drops().Write; d < n-queueSlots-128 {
		t.Fatalf("%d of %d dropped", d, n)
	}
	start := time.Now()
	for range 2 {
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Fatalf("Close took %v", d)
	}
	if d := q.Drops(); d.Write != n {
		t.Fatalf("drops %+v, want all %d: none was written", d, n)
	}
	if _, err := q.Write(pkts, 0); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Write after Close: %v", err)
	}
}

func TestQueueCloseEndsRead(t *testing.T) {
	defer goleak.VerifyNone(t)
	q := Queue(NewMemory(nil))
	done := make(chan error)
	go func() {
		bufs, sizes := buffers(1, 100)
		_, err := q.Read(bufs, sizes, 0)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	q.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

// A failing is a device whose Read and Write fail.
type failing struct {
	*Memory
	err error
}

func (f *failing) Read([][]byte, []int, int) (int, error) { return 0, f.err }
func (f *failing) Write([][]byte, int) (int, error)       { return 1, f.err }

func TestQueueDeviceFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	q := Queue(&failing{NewMemory(&MemoryOptions{Batch: 4}), broken})
	defer q.Close()
	bufs, sizes := buffers(1, 100)
	if _, err := q.Read(bufs, sizes, 0); !errors.Is(err, broken) {
		t.Fatalf("Read: %v, want the device's error", err)
	}
	if _, err := q.Write(packets(4, 40), 0); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); q.Drops().Write != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("drops %+v, want the 3 of 4 that the device refused", q.Drops())
		}
	}
}

// syn returns an IPv4 TCP SYN from 192.0.2.2:4096 to 192.0.2.1:80, which
// netstack answers with a reset inside its Write.
func syn() []byte {
	return []byte{
		0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0xf6, 0xcb, 192, 0, 2, 2, 192, 0, 2, 1, // IPv4
		0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0x1b, 0x8e, 0, 0, // TCP
	}
}

// TestQueueMendsNetstack: a netstack that nobody reads from stands still in
// Write, and does not behind Queue.
func TestQueueMendsNetstack(t *testing.T) {
	write := func(dev wgtun.Device) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3 {
				_, _ = dev.Write([][]byte{syn()}, 0)
			}
		}()
		return done
	}
	bare, _, err := netstack.CreateNetTUN([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil, 1420)
	if err != nil {
		t.Fatal(err)
	}
	stands := write(bare)
	select {
	case <-stands:
		t.Error("Write without a reader returned: Queue's reason is gone")
	case <-time.After(200 * time.Millisecond):
	}
	bufs, sizes := buffers(1, 2000)
	for range 3 { // three resets let it go
		if _, err := bare.Read(bufs, sizes, 0); err != nil {
			t.Fatal(err)
		}
	}
	<-stands
	bare.Close()

	dev, _, err := netstack.CreateNetTUN([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil, 1420)
	if err != nil {
		t.Fatal(err)
	}
	q := Queue(dev)
	defer q.Close()
	select {
	case <-write(q):
	case <-time.After(5 * time.Second):
		t.Fatal("Write waits behind Queue")
	}
	n, err := q.Read(bufs, sizes, 0)
	if err != nil || n != 1 || bufs[0][9] != 6 || bufs[0][33]&0x04 == 0 {
		t.Fatalf("%d, %v, % x: want the reset", n, err, bufs[0][:40])
	}
}
