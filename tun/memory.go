package tun

import (
	"context"
	"errors"
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

// MemoryOptions are the properties of a Memory. Zero fields mean the default.
type MemoryOptions struct {
	Name  string // "memory"
	MTU   int    // bytes; 1420. It is told, not enforced.
	Batch int    // packets a call; 128
	Slots int    // packets that each direction queues; 512
}

// A Memory is a TUN device in memory. The program that made it is the host: it
// sends with Inject what Read returns, and receives with ReadPackets what was
// given to Write. Both directions queue, neither waits for the other end, and
// what does not fit is dropped and counted. It is safe for concurrent use.
//
// Events sends nothing: whoever makes a wireguard device of a Memory calls
// Device.Up.
type Memory struct {
	name   string
	mtu    int
	batch  int
	in     *ring // Inject to Read
	out    *ring // Write to ReadPackets
	events chan wgtun.Event
	close  sync.Once
}

var _ wgtun.Device = (*Memory)(nil)

// Drops counts the packets that a Memory or a Queued lost.
type Drops struct {
	Read  uint64 // on their way to Read
	Write uint64 // after Write
}

// NewMemory returns a device in memory; o may be nil.
func NewMemory(o *MemoryOptions) *Memory {
	if o == nil {
		o = &MemoryOptions{}
	}
	m := &Memory{name: o.Name, mtu: o.MTU, batch: o.Batch, events: make(chan wgtun.Event)}
	if m.name == "" {
		m.name = "memory"
	}
	if m.mtu == 0 {
		m.mtu = 1420
	}
	if m.batch == 0 {
		m.batch = conn.IdealBatchSize
	}
	slots := o.Slots
	if slots == 0 {
		slots = queueSlots
	}
	m.in, m.out = newRing(slots), newRing(slots)
	return m
}

// Inject queues packets for Read and returns how many fitted. It copies them,
// and never waits. Once the device is closed none fit.
func (m *Memory) Inject(pkts [][]byte) int {
	n, _ := m.in.put(pkts, 0)
	return n
}

// ReadPackets waits for packets that were written to the device, copies them to
// bufs, their lengths to sizes, and returns how many. len(sizes) is at least
// len(bufs). The error is ctx's, or os.ErrClosed.
func (m *Memory) ReadPackets(ctx context.Context, bufs [][]byte, sizes []int) (int, error) {
	n, err := m.out.get(bufs, sizes, 0, ctx.Done())
	if errors.Is(err, errCancelled) {
		err = ctx.Err()
	}
	return n, err
}

// Drops returns how many packets were lost so far, in each direction.
func (m *Memory) Drops() Drops {
	return Drops{Read: m.in.dropped(), Write: m.out.dropped()}
}

// Read implements wgtun.Device: it waits for injected packets.
func (m *Memory) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	return m.in.get(bufs, sizes, offset, nil)
}

// Write implements wgtun.Device. It copies bufs, never waits, and returns
// len(bufs) also where packets were dropped.
func (m *Memory) Write(bufs [][]byte, offset int) (int, error) {
	if _, err := m.out.put(bufs, offset); err != nil {
		return 0, err
	}
	return len(bufs), nil
}

// Close implements wgtun.Device: it ends every wait, and drops what is queued.
// It may be called again.
func (m *Memory) Close() error {
	m.close.Do(func() {
		m.in.close()
		m.out.close()
		close(m.events)
	})
	return nil
}

// File implements wgtun.Device: there is none.
func (m *Memory) File() *os.File { return nil }

// MTU implements wgtun.Device.
func (m *Memory) MTU() (int, error) { return m.mtu, nil }

// Name implements wgtun.Device.
func (m *Memory) Name() (string, error) { return m.name, nil }

// Events implements wgtun.Device. Close closes the channel.
func (m *Memory) Events() <-chan wgtun.Event { return m.events }

// BatchSize implements wgtun.Device.
func (m *Memory) BatchSize() int { return m.batch }
