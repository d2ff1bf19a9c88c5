package tun

import (
	"errors"
	"os"
	"sync"
)

// headroom is what every slot leaves free before its packet. NativeTun.Write
// of Linux wants 10 bytes there, those of the BSDs 4; 16 is what wireguard-go
// itself leaves.
const headroom = 16

// errCancelled is await's answer when its cancel channel ends the wait.
var errCancelled = errors.New("tun: wait cancelled")

// A ring is a bounded queue of packets that drops what does not fit. A batch
// costs one lock, and one channel operation only where the ring was empty
// before. Slots keep their arrays, so that nothing is allocated once each has
// held the largest packet. It is safe for concurrent use.
type ring struct {
	ready chan struct{} // holds a token if packets may wait and nobody was told
	done  chan struct{} // closed by close

	mu      sync.Mutex
	slots   [][]byte // headroom, then the packet
	head, n int
	drops   uint64
	closed  bool
}

func newRing(slots int) *ring {
	return &ring{
		ready: make(chan struct{}, 1),
		done:  make(chan struct{}),
		slots: make([][]byte, slots),
	}
}

// put copies the packets pkts[i][offset:] in and returns how many fitted; it
// never waits. Empty packets, and all once the ring is closed, are drops.
func (r *ring) put(pkts [][]byte, offset int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.drops += uint64(len(pkts))
		return 0, os.ErrClosed
	}
	before := r.n
	for _, p := range pkts {
		if r.n == len(r.slots) || len(p) <= offset {
			r.drops++
			continue
		}
		slot := &r.slots[(r.head+r.n)%len(r.slots)]
		if cap(*slot) < headroom {
			*slot = make([]byte, headroom, headroom+len(p)-offset)
		}
		*slot = append((*slot)[:headroom], p[offset:]...)
		r.n++
	}
	if before == 0 && r.n > 0 {
		r.signal()
	}
	return r.n - before, nil
}

// get copies waiting packets to bufs[i][offset:], their lengths to sizes, and
// returns how many. It waits for the first one. A packet that is larger than
// its buffer is a drop.
func (r *ring) get(bufs [][]byte, sizes []int, offset int, cancel <-chan struct{}) (int, error) {
	for {
		if err := r.await(cancel); err != nil {
			return 0, err
		}
		n := 0
		for n < len(bufs) && r.n > 0 {
			p := r.slots[r.head][headroom:]
			r.popLocked()
			if len(p) > len(bufs[n])-offset {
				r.drops++
				continue
			}
			sizes[n] = copy(bufs[n][offset:], p)
			n++
		}
		r.release()
		if n > 0 {
			return n, nil
		}
	}
}

// take is get without the copy: it trades the arrays of bufs for slots. A
// packet begins at headroom. The arrays are the caller's until it trades them
// in again.
func (r *ring) take(bufs [][]byte) (int, error) {
	if err := r.await(nil); err != nil {
		return 0, err
	}
	defer r.release()
	n := 0
	for n < len(bufs) && r.n > 0 {
		bufs[n], r.slots[r.head] = r.slots[r.head], bufs[n]
		r.popLocked()
		n++
	}
	return n, nil
}

func (r *ring) popLocked() {
	r.head = (r.head + 1) % len(r.slots)
	r.n--
}

// await returns nil with r.mu held and a packet waiting, or an error without.
func (r *ring) await(cancel <-chan struct{}) error {
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return os.ErrClosed
		}
		if r.n > 0 {
			return nil
		}
		r.mu.Unlock()
		select {
		case <-r.ready:
		case <-r.done:
		case <-cancel:
			return errCancelled
		}
	}
}

// release ends what await began. The token goes to the next reader if there is
// something left for it.
func (r *ring) release() {
	if r.n > 0 {
		r.signal()
	}
	r.mu.Unlock()
}

func (r *ring) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// lose counts n packets that were lost outside the ring.
func (r *ring) lose(n int) {
	r.mu.Lock()
	r.drops += uint64(n)
	r.mu.Unlock()
}

func (r *ring) dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drops
}

// close ends every wait and drops what is queued. It may be called again.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.drops += uint64(r.n)
	r.n = 0
	close(r.done)
}
