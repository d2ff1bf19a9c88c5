package tun

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

const (
	queueSlots = 512     // packets that a direction queues
	maxPacket  = 1 << 16 // bytes, more than an IP packet can have
	drainTime  = 100 * time.Millisecond
)

// A Queued is a device behind two queues: see Queue. It is safe for concurrent
// use.
type Queued struct {
	dev   wgtun.Device
	batch int
	in    *ring // dev.Read to Read
	out   *ring // Write to dev.Write

	readErr atomic.Pointer[error] // why the reading pump ended
	pumps   sync.WaitGroup
	written chan struct{} // closed when the writing pump ended
	close   sync.Once
	closed  error
}

var _ wgtun.Device = (*Queued)(nil)

// Queue puts a queue that drops into both directions of a device that is not
// the operating system's. A Write to such a device may wait until somebody
// reads from it: netstack, for one, answers a SYN inside Write, and the answer
// waits in Write until Read fetches it. A router whose reading goroutine
// answers packets itself (ICMP errors, resets), or whose reader waits for the
// goroutines that write, then stands still for ever.
//
// Queue owns dev, and starts a goroutine for each direction; Close stops both.
func Queue(dev wgtun.Device) *Queued {
	q := &Queued{
		dev:     dev,
		batch:   max(dev.BatchSize(), conn.IdealBatchSize),
		in:      newRing(queueSlots),
		out:     newRing(queueSlots),
		written: make(chan struct{}),
	}
	q.pumps.Go(q.pumpRead)
	q.pumps.Go(q.pumpWrite)
	return q
}

// pumpRead moves packets from dev to the ring until dev fails or is closed.
func (q *Queued) pumpRead() {
	n := q.dev.BatchSize()
	bufs, sizes, pkts := make([][]byte, n), make([]int, n), make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, headroom+maxPacket)
	}
	for {
		n, err := q.dev.Read(bufs, sizes, headroom)
		for i := range n {
			pkts[i] = bufs[i][:headroom+sizes[i]]
		}
		if _, closed := q.in.put(pkts[:n], headroom); closed != nil {
			return
		}
		if err != nil && !errors.Is(err, wgtun.ErrTooManySegments) {
			q.readErr.Store(&err)
			q.in.close()
			return
		}
	}
}

// pumpWrite moves packets from the ring to dev until the ring or dev is closed.
// What dev refuses is a drop.
func (q *Queued) pumpWrite() {
	defer close(q.written)
	bufs, batch := make([][]byte, q.dev.BatchSize()), make([][]byte, q.dev.BatchSize())
	for {
		n, err := q.out.take(bufs)
		if err != nil {
			return
		}
		copy(batch, bufs[:n]) // dev may change the slices that it is given
		done, err := q.dev.Write(batch[:n], headroom)
		if err != nil {
			q.out.lose(n - min(done, n))
		}
		if errors.Is(err, os.ErrClosed) {
			q.out.close()
			return
		}
	}
}

// Read implements wgtun.Device. When the device fails, what it had sent is
// dropped and Read returns its error.
func (q *Queued) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	n, err := q.in.get(bufs, sizes, offset, nil)
	if p := q.readErr.Load(); err != nil && p != nil {
		err = *p
	}
	return n, err
}

// Write implements wgtun.Device. It copies bufs, never waits, and returns
// len(bufs) also where packets were dropped.
func (q *Queued) Write(bufs [][]byte, offset int) (int, error) {
	if _, err := q.out.put(bufs, offset); err != nil {
		return 0, err
	}
	return len(bufs), nil
}

// Drops returns how many packets were lost so far, in each direction. Those
// that the device refused count as Write's.
func (q *Queued) Drops() Drops {
	return Drops{Read: q.in.dropped(), Write: q.out.dropped()}
}

// Close implements wgtun.Device: it ends every wait, closes the device, and
// waits for both goroutines. It may be called again.
func (q *Queued) Close() error {
	q.close.Do(func() {
		q.out.close()
		// netstack's Close panics under a Write that still runs; another device
		// may end its Write only when it is closed.
		select {
		case <-q.written:
		case <-time.After(drainTime):
		}
		q.closed = q.dev.Close()
		q.in.close()
		q.pumps.Wait()
	})
	return q.closed
}

// File implements wgtun.Device.
func (q *Queued) File() *os.File { return q.dev.File() }

// MTU implements wgtun.Device.
func (q *Queued) MTU() (int, error) { return q.dev.MTU() }

// Name implements wgtun.Device.
func (q *Queued) Name() (string, error) { return q.dev.Name() }

// Events implements wgtun.Device.
func (q *Queued) Events() <-chan wgtun.Event { return q.dev.Events() }

// BatchSize implements wgtun.Device: it may be larger than the device's.
func (q *Queued) BatchSize() int { return q.batch }
